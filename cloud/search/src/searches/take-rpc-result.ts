import type { BusRecord, Tx } from '@star/platform';
import { createTaskReply, type TaskError } from '@stardipper/proto';
import { takeForgetReceipt } from '../forgetting/take-forget-receipt';
import type { SearchDeps } from '../ports';
import { searchError } from '../search.errors';
import { announceChange, findTask, lockSearch, type TaskRow } from './search.store';
import { isUuid, settleTask } from './take-report';

const group = 'search';

type Result = BusRecord<'device.rpc.finished.v1'>['message'];

/**
 * What became of a createTask: accepted, or failed with the box's code or the transport's; of a forgetPerson see
 * `takeForgetReceipt`. Answers of other methods
 * are none of its business; a cancelled task says so itself, in its reports.
 */
export const takeRpcResult =
  (deps: SearchDeps) =>
  async (record: BusRecord<'device.rpc.finished.v1'>): Promise<void> => {
    const { tenantId, message } = record;
    if (message.method !== 'createTask' && message.method !== 'forgetPerson') return;
    await deps.database.tenant(tenantId, async (tx) => {
      if (!(await deps.firstTime(tx, group, record.id))) return;
      if (message.method === 'forgetPerson') await takeForgetReceipt(deps, tx, tenantId, message);
      else await applyResult(deps, tx, tenantId, message);
    });
  };

async function applyResult(deps: SearchDeps, tx: Tx, tenantId: string, message: Result): Promise<void> {
  const found = isUuid(message.correlationId) ? await findTask(tx, message.correlationId) : undefined;
  if (!found) throw searchError('rpc.task_unknown', { taskId: message.correlationId });
  const search = await lockSearch(tx, found.search_id);
  const before = search && (await findTask(tx, found.id));
  if (!search || !before) return;
  if (before.edge_id !== message.edgeId) throw searchError('report.foreign', { taskId: before.id, edgeId: message.edgeId });
  const error = errorOf(message);
  const next: TaskRow = error
    ? { ...before, rpc_error: before.accepted ? null : error }
    : { ...before, accepted: true, accept_ms: before.accept_ms ?? message.roundTripMs, rpc_error: null };
  await settleTask(deps, tx, tenantId, search, before, next);
  await announceChange(tx, search.id);
  if (error || before.accepted) return;
  await deps.writeEvent(tx, {
    topic: 'search.task.accepted.v1',
    key: `${tenantId}:${search.id}`,
    tenantId,
    message: { searchId: search.id, taskId: before.id, edgeId: before.edge_id, acceptMs: message.roundTripMs },
  });
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
