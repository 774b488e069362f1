import type { DatabaseSync } from 'node:sqlite';
import type { ForgetReceipt } from '@stardipper/proto';

type Counts = Pick<ForgetReceipt, 'tasks' | 'matches' | 'sightings'>;

/** Receipts, and what is kept under a person's id. Synchronous; the caller makes the transaction. */
export class ForgottenPeople {
  private readonly statements;

  constructor(db: DatabaseSync) {
    this.statements = {
      add: db.prepare(`INSERT INTO forgotten_people (person_id, tasks, matches, sightings, at_ms) VALUES (?, ?, ?, ?, ?)
        ON CONFLICT (person_id) DO UPDATE SET tasks = tasks + excluded.tasks, matches = matches + excluded.matches,
          sightings = sightings + excluded.sightings, at_ms = excluded.at_ms`),
      get: db.prepare('SELECT tasks, matches, sightings, at_ms FROM forgotten_people WHERE person_id = ?'),
      deleteMatches: db.prepare('DELETE FROM task_matches WHERE person_id = ?'),
    };
  }

  /** Answers how many. */
  deleteMatches(personId: string): number {
    return Number(this.statements.deleteMatches.run(personId).changes);
  }

  add(personId: string, counts: Counts, atMs: number): void {
    this.statements.add.run(personId, counts.tasks, counts.matches, counts.sightings, atMs);
  }

  receipt(personId: string): ForgetReceipt | undefined {
    const row = this.statements.get.get(personId) as unknown as (Counts & { at_ms: number }) | undefined;
    return row && { personId, at: row.at_ms, tasks: row.tasks, matches: row.matches, sightings: row.sightings };
  }
}
