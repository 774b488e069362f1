import { createHash, randomUUID } from 'node:crypto';
import { type Caller, type Limits, requireRoom, type Tx, who } from '@star/platform';
import { createTaskParams, type devices, maxPayloadBytes, objectKeys, queryDocument, type Search } from '@stardipper/proto';
import { requestApproval } from '../approvals/request-approval';
import { embeddingsOf, peopleForPack } from '../people/embedding.store';
import { embeddingSealOf } from '../people/embedding-seal';
import { holdPeople } from '../people/person.store';
import type { SearchDeps } from '../ports';
import { searchError } from '../search.errors';
import { requireCameras, requireEmbedded, requireKnown } from './draft-search';
import { byEdge, chunks, maxCamerasOfTask, taskCameras } from './estimate-search';
import { readSearch } from './search.read';
import { announceChange, countRunning, findSearch, lockSearch, type SearchRow, writeSearchState } from './search.store';
import { insertTasks } from './task.store';

/** Room for what the RPC puts around the parameters: method and id. */
const envelopeBytes = 1_024;

/**
 * One task per box, more where a box has over 256 of the cameras. Tasks, state and outgoing commands are one
 * transaction; starting again what was started answers the search as it is. Where the tenant wants a second person's
 * approval, it waits for that first. Throws `search.already_final` for a cancelled or refused draft, `quota.exceeded`
 * while as many searches run as the tenant may have, and `search.person_unknown` and the like when the question no
 * longer holds.
 */
export const startSearch =
  (deps: SearchDeps) =>
  async (caller: Caller, searchId: string): Promise<Search> => {
    const { tenantId } = caller;
    const draft = await deps.database.tenant(tenantId, (tx) => findSearch(tx, searchId));
    if (!draft) throw searchError('search.not_found', { searchId });
    if (draft.state === 'draft') {
      // Asked before the transaction: a slow neighbour must not hold the row.
      const cameras = await requireCameras(deps, caller, draft.camera_ids);
      const limits = await deps.limitsOf(tenantId);
      const needsApproval = await deps.needsApproval(tenantId);
      await deps.database.tenant(tenantId, async (tx) => {
        const search = await lockSearch(tx, searchId);
        if (search?.state !== 'draft') return;
        if (needsApproval) await requestApproval(deps, tx, caller, search);
        else await beginSearch(deps, tx, caller, search, cameras, limits);
      });
    } else if (draft.started_at === null && (draft.state === 'cancelled' || draft.state === 'refused'))
      throw searchError('search.already_final', { state: draft.state });
    return readSearch(deps)(tenantId, searchId);
  };

/** Runs the search, whose row is locked, from here on. */
export async function beginSearch(
  deps: SearchDeps,
  tx: Tx,
  caller: Caller,
  search: SearchRow,
  cameras: readonly devices.CameraRef[],
  limits: Limits,
): Promise<void> {
  const { tenantId } = caller;
  const searchId = search.id;
  await requireRoom(tx, tenantId, 'searchesInFlight', limits.searchesInFlight, () => countRunning(tx, tenantId));
  const now = deps.now();
  const expiresAt = new Date(now.getTime() + deps.settings.taskLifetimeMs);
  // Under the lock, so that two starts cannot leave a document that fits neither's hash.
  const query = await writeQuery(deps, tx, tenantId, search);
  const tasks = byEdge(cameras).flatMap((own) => splitTasks(search, own, query, expiresAt));
  await insertTasks(tx, tenantId, search, tasks, expiresAt);
  await deps.writeEvents(
    tx,
    tasks.map((task) => ({
      topic: 'search.task.requested.v1',
      key: commandKey(tenantId, task.edgeId),
      tenantId,
      message: {
        searchId,
        taskId: task.id,
        edgeId: task.edgeId,
        method: 'createTask',
        paramsJson: task.paramsJson,
        expiresAtMs: expiresAt.getTime(),
      },
    })),
  );
  await writeSearchState(tx, searchId, { state: 'running', startedAt: now, finishedAt: null });
  await announceChange(tx, searchId);
  await deps.audit(tx, {
    ...who(caller),
    action: 'search.started',
    subject: searchId,
    details: { purpose: search.purpose, personIds: search.person_ids },
  });
}

/** By box, so that a cancelTask never overtakes its createTask. */
export const commandKey = (tenantId: string, edgeId: string): string => `${tenantId}:${edgeId}`;

interface QueryRef {
  readonly url: string;
  readonly sha256: string;
  readonly bytes: number;
}

async function writeQuery(deps: SearchDeps, tx: Tx, tenantId: string, search: SearchRow): Promise<QueryRef> {
  await holdPeople(tx, search.person_ids);
  // With the draft's pack also when another is in use by now: its estimate and threshold belong to that one.
  const found = await peopleForPack(tx, search.person_ids, search.pack_id);
  requireKnown(found, search.person_ids);
  requireEmbedded(found, search.person_ids, search.pack_id);
  const rows = await embeddingsOf(tx, search.person_ids, search.pack_id);
  const seal = await embeddingSealOf(deps)(tenantId);
  const persons = search.person_ids.map((id) => ({
    id,
    embeddings: rows
      .filter((row) => row.person_id === id)
      .map((row) => seal.open({ personId: id, photoId: row.photo_id, packId: search.pack_id }, row.embedding).toString('base64')),
  }));
  const body = Buffer.from(JSON.stringify(queryDocument.parse({ packId: search.pack_id, threshold: search.threshold, persons })));
  const key = objectKeys.query(tenantId, search.id);
  await deps.objects.put(tenantId, key, body, 'application/json');
  const url = await deps.objects.signedUrl(tenantId, key, 'GET', { expiresInS: Math.ceil(deps.settings.taskLifetimeMs / 1_000) });
  return { url, sha256: createHash('sha256').update(body).digest('hex'), bytes: body.length };
}

interface PlannedTask {
  readonly id: string;
  readonly edgeId: string;
  readonly edgeName: string;
  readonly cameraIds: readonly string[];
  readonly paramsJson: string;
}

function splitTasks(search: SearchRow, cameras: readonly devices.CameraRef[], query: QueryRef, expiresAt: Date): PlannedTask[] {
  return chunks(cameras, maxCamerasOfTask).flatMap((some) => planTask(search, some, query, expiresAt));
}

/** Halved until the command fits one MQTT payload. */
function planTask(search: SearchRow, cameras: readonly devices.CameraRef[], query: QueryRef, expiresAt: Date): PlannedTask[] {
  const first = cameras[0] as devices.CameraRef;
  const id = randomUUID();
  const params = createTaskParams.parse({
    taskId: id,
    searchId: search.id,
    priority: search.priority,
    expiresAt: expiresAt.getTime(),
    range: { from: search.from_ms, to: search.to_ms },
    cameras: taskCameras(cameras),
    packId: search.pack_id,
    query,
  });
  const paramsJson = JSON.stringify(params);
  if (Buffer.byteLength(paramsJson) <= maxPayloadBytes - envelopeBytes) {
    return [{ id, edgeId: first.edgeId, edgeName: first.edgeName, cameraIds: cameras.map((camera) => camera.cameraId), paramsJson }];
  }
  if (cameras.length === 1) throw searchError('search.too_large', { maxBytes: maxPayloadBytes });
  const half = Math.ceil(cameras.length / 2);
  return [...planTask(search, cameras.slice(0, half), query, expiresAt), ...planTask(search, cameras.slice(half), query, expiresAt)];
}
