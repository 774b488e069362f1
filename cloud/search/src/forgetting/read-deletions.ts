import type { Caller } from '@star/platform';
import type { Page, PersonDeletion } from '@stardipper/proto';
import { byAge, decodeCursor, encodeCursor } from '../cursor';
import type { SearchDeps } from '../ports';
import { searchError } from '../search.errors';
import { type DeletionEdgeRow, type DeletionRow, edgesOfDeletions, findDeletion, listDeletions } from './deletion.store';

const listName = 'deletions';

/** Throws `person.not_found`, also for somebody who was not deleted. */
export const readDeletion =
  (deps: SearchDeps) =>
  (caller: Caller, personId: string): Promise<PersonDeletion> =>
    deps.database.tenant(caller.tenantId, async (tx) => {
      const row = await findDeletion(tx, personId);
      if (!row) throw searchError('person.not_found', { personId });
      return shown(row, await edgesOfDeletions(tx, [personId]));
    });

/** Newest first. */
export const readDeletions =
  (deps: SearchDeps) =>
  (caller: Caller, query: { cursor?: string; limit: number }): Promise<Page<PersonDeletion>> =>
    deps.database.tenant(caller.tenantId, async (tx) => {
      const before = decodeCursor(listName, query.cursor, byAge);
      const rows = await listDeletions(tx, caller.tenantId, before, query.limit + 1);
      const page = rows.slice(0, query.limit);
      const edges = await edgesOfDeletions(
        tx,
        page.map((row) => row.person_id),
      );
      const last = page.at(-1);
      return {
        items: page.map((row) =>
          shown(
            row,
            edges.filter((edge) => edge.person_id === row.person_id),
          ),
        ),
        nextCursor: rows.length > page.length && last ? encodeCursor(listName, [last.position, last.person_id]) : null,
      };
    });

const shown = (row: DeletionRow, edges: readonly DeletionEdgeRow[]): PersonDeletion => ({
  personId: row.person_id,
  deletedAt: row.deleted_at.toISOString(),
  deletedBy: { id: row.deleted_by, username: row.deleted_by_name },
  star: { photos: row.photos, matches: row.matches, crops: row.crops, doneAt: row.cleaned_at?.toISOString() ?? null },
  edges: row.fanned_out_at
    ? edges.map((edge) => ({
        edgeId: edge.edge_id,
        edgeName: edge.edge_name,
        state: edge.state,
        askedAt: edge.asked_at?.toISOString() ?? null,
        answeredAt: edge.answered_at?.toISOString() ?? null,
        error: edge.error,
        receipt: edge.receipt,
      }))
    : null,
  completedAt: row.completed_at?.toISOString() ?? null,
});
