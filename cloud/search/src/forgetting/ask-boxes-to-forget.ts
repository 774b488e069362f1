import type { Tx } from '@star/platform';
import { forgetPersonParams } from '@stardipper/proto';
import type { EdgeRef, SearchDeps } from '../ports';
import { commandKey } from '../searches/start-search';
import {
  type DeletionRow,
  edgesOfDeletions,
  insertDeletionEdges,
  listDueDeletions,
  lockDeletion,
  writeAsked,
  writeCompleted,
  writeFannedOut,
  writeGone,
} from './deletion.store';
import { doomNotedCrops } from './doom-late-crops';
import { doomObjects } from './doomed.store';

const deletionsAtOnce = 50;
/** S3 signs no address for longer; a box that is away for longer is asked again, for as long as it belongs to the tenant. */
const callLifetimeMs = 7 * 86_400_000;
/** A call tells its own end; should that word be lost, the box is asked again this much later. */
const slackMs = 3_600_000;

/**
 * Asks every box of a tenant to forget its deleted people, again and again until each has given its receipt or was
 * removed from Star, and closes what is complete. Any number of replicas may run it. Answers how many boxes it asked.
 */
export const askBoxesToForget = (deps: SearchDeps) => async (): Promise<number> => {
  const due = await deps.database.system('forget people: due', (tx) => listDueDeletions(tx, deps.now(), deletionsAtOnce));
  const tenants = new Map<string, readonly EdgeRef[]>();
  let asked = 0;
  for (const { tenant_id: tenantId, person_id: personId } of due) {
    const edges = tenants.get(tenantId) ?? (await deps.edges.listEdges(tenantId));
    tenants.set(tenantId, edges);
    asked += await deps.database.tenant(tenantId, async (tx) => {
      const deletion = await lockDeletion(tx, personId);
      return deletion && !deletion.completed_at ? ask(deps, tx, deletion, edges) : 0;
    });
  }
  return asked;
};

async function ask(deps: SearchDeps, tx: Tx, deletion: DeletionRow, edges: readonly EdgeRef[]): Promise<number> {
  const { tenant_id: tenantId, person_id: personId } = deletion;
  const now = deps.now();
  if (!deletion.fanned_out_at) {
    await insertDeletionEdges(tx, tenantId, personId, edges, now);
    await writeFannedOut(tx, personId, now);
  }
  const pending = (await edgesOfDeletions(tx, [personId])).filter((edge) => edge.state === 'pending');
  const there = new Set(edges.map((edge) => edge.edgeId));
  const gone = pending.filter((edge) => !there.has(edge.edge_id));
  await writeGone(
    tx,
    personId,
    gone.map((edge) => edge.edge_id),
    now,
  );
  for (const edge of gone) await doomNotedCrops(tx, tenantId, personId, edge.edge_id);
  const waiting = pending.filter((edge) => there.has(edge.edge_id));
  const due = waiting.filter((edge) => edge.ask_at <= now);
  for (const edge of due) await askBox(deps, tx, deletion, edge.edge_id, now);
  if (waiting.length === 0 && deletion.cleaned_at) await complete(tx, deletion, now);
  return due.length;
}

async function askBox(deps: SearchDeps, tx: Tx, deletion: DeletionRow, edgeId: string, now: Date): Promise<void> {
  const { tenant_id: tenantId, person_id: personId, document } = deletion;
  const expiresAtMs = now.getTime() + callLifetimeMs;
  const url = await deps.objects.signedUrl(tenantId, document.key, 'GET', { expiresInS: callLifetimeMs / 1000 });
  const params = forgetPersonParams.parse({ personId, document: { url, sha256: document.sha256, bytes: document.bytes } });
  // The way of every call to a box; the person is what its answer is recognised by.
  await deps.writeEvent(tx, {
    topic: 'search.task.requested.v1',
    key: commandKey(tenantId, edgeId),
    tenantId,
    message: { searchId: '', taskId: personId, edgeId, method: 'forgetPerson', paramsJson: JSON.stringify(params), expiresAtMs },
  });
  await writeAsked(tx, personId, edgeId, now, new Date(expiresAtMs + slackMs));
}

/** Nobody needs the embeddings any more. */
export async function complete(tx: Tx, { tenant_id, person_id, document }: DeletionRow, now: Date): Promise<void> {
  await doomObjects(tx, tenant_id, [document.key]);
  await writeCompleted(tx, person_id, now);
}
