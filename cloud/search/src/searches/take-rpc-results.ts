import { type BusRecord, byTenant, type Tx } from '@star/platform';
import { createTaskReply, type TaskError } from '@stardipper/proto';
import { takeForgetReceipt } from '../forgetting/take-forget-receipt';
import type { SearchDeps } from '../ports';
import { searchError } from '../search.errors';
import { announceChange, lockSearch } from './search.store';
import { isUuid, settleTasks, type TaskChange } from './take-report';
import { findTasks, searchesOfTasks, type TaskRow } from './task.store';

const group = 'search';

type Finished = BusRecord<'device.rpc.finished.v1'>;
type Result = Finished['message'];

/**
 * What became of createTasks: accepted, or failed with the box's code or the transport's; of a forgetPerson see
 * `takeForgetReceipt`. Answers of other methods are none of its business; a cancelled task says so itself, in its reports.
 * A tenant's results are taken in one transaction: those of a search all want its one row, and one by one each would
 * wait for the commits of all before it. When it rejects, some may be taken: repeated, they are passed over.
 */
export const takeRpcResults =
  (deps: SearchDeps) =>
  async (records: readonly Finished[]): Promise<void> => {
    for (const [tenantId, own] of byTenant(records)) {
      for (const record of own.filter(({ message }) => message.method === 'forgetPerson')) {
        await deps.database.tenant(tenantId, async (tx) => {
          if (await deps.firstTime(tx, group, record.id)) await takeForgetReceipt(deps, tx, tenantId, record.message);
        });
      }
      const ofTasks = own.filter(({ message }) => message.method === 'createTask');
      if (ofTasks.length > 0) await deps.database.tenant(tenantId, (tx) => takeOfTasks(deps, tx, tenantId, ofTasks));
    }
  };

async function takeOfTasks(deps: SearchDeps, tx: Tx, tenantId: string, records: readonly Finished[]): Promise<void> {
  const ids = records.map((record) => record.id);
  const fresh = await deps.firstTimes(tx, group, ids);
  // `delete`: a record may also come twice in one batch.
  const results = records.filter((record) => fresh.delete(record.id)).map((record) => record.message);
  const taskIds = results.map((result) => result.correlationId).filter(isUuid);
  const searches = await searchesOfTasks(tx, taskIds);
  const lost = results.find((result) => !searches.has(result.correlationId));
  if (lost) throw searchError('rpc.task_unknown', { taskId: lost.correlationId });
  // In one order: whoever else locks several searches does not wait for this one while this one waits for it.
  for (const searchId of [...new Set(searches.values())].sort()) {
    const own = results.filter((result) => searches.get(result.correlationId) === searchId);
    await applyResults(deps, tx, tenantId, searchId, own);
  }
}

async function applyResults(deps: SearchDeps, tx: Tx, tenantId: string, searchId: string, results: readonly Result[]): Promise<void> {
  const search = await lockSearch(tx, searchId);
  if (!search) return;
  const found = await findTasks(
    tx,
    results.map((result) => result.correlationId),
  );
  const changes = new Map(found.map((task): [string, TaskChange] => [task.id, { before: task, next: task }]));
  const accepted: { readonly task: TaskRow; readonly acceptMs: number }[] = [];
  for (const result of results) {
    const change = changes.get(result.correlationId);
    if (!change) continue;
    const task = change.next;
    if (task.edge_id !== result.edgeId) throw searchError('report.foreign', { taskId: task.id, edgeId: result.edgeId });
    const error = errorOf(result);
    if (!error && !task.accepted) accepted.push({ task, acceptMs: result.roundTripMs });
    const next: TaskRow = error
      ? { ...task, rpc_error: task.accepted ? null : error }
      : { ...task, accepted: true, accept_ms: task.accept_ms ?? result.roundTripMs, rpc_error: null };
    changes.set(task.id, { ...change, next });
  }
  await settleTasks(deps, tx, tenantId, search, [...changes.values()]);
  await announceChange(tx, search.id);
  await deps.writeEvents(
    tx,
    accepted.map(({ task, acceptMs }) => ({
      topic: 'search.task.accepted.v1',
      key: `${tenantId}:${search.id}`,
      tenantId,
      message: { searchId: search.id, taskId: task.id, edgeId: task.edge_id, acceptMs },
    })),
  );
}

/** Undefined when the box accepted. */
function errorOf(message: Result): TaskError | undefined {
  const codes: Record<string, string> = { EXPIRED: 'rpc_expired', TIMEOUT: 'rpc_timeout', FAILED: 'rpc_failed' };
  if (message.state !== 'SUCCESSFUL') return { code: codes[message.state] ?? 'rpc_failed' };
  let reply: unknown;
  try {
    reply = JSON.parse(message.replyJson);
  } catch {
    return { code: 'rpc_reply_invalid' };
  }
  const parsed = createTaskReply.safeParse(reply);
  if (!parsed.success) return { code: 'rpc_reply_invalid' };
  if (!('error' in parsed.data)) return parsed.data.taskId === message.correlationId ? undefined : { code: 'rpc_reply_invalid' };
  const { code, params } = parsed.data.error;
  return /^[a-z0-9_.]{1,64}$/.test(code) ? { code, params: params ?? {} } : { code: 'rpc_reply_invalid' };
}
