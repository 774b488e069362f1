import type { BusRecord, Tx } from '@star/platform';
import { type ForgetReceipt, forgetPersonReply, type TaskError } from '@stardipper/proto';
import type { SearchDeps } from '../ports';
import { isUuid } from '../searches/take-report';
import { complete } from './ask-boxes-to-forget';
import { edgesOfDeletions, lockDeletion, writeAskAgain, writeGone, writeReceipt } from './deletion.store';
import { doomNotedCrops } from './doom-late-crops';

type Result = BusRecord<'device.rpc.finished.v1'>['message'];

const atWorkMs = 60_000;
const retryMs = 600_000;
const longestRetryMs = 86_400_000;

/** What became of a forgetPerson: the box's receipt, or when it is asked again. Repeated and late answers change nothing. */
export async function takeForgetReceipt(deps: SearchDeps, tx: Tx, tenantId: string, message: Result): Promise<void> {
  const personId = message.correlationId;
  const deletion = isUuid(personId) ? await lockDeletion(tx, personId) : undefined;
  const edges = deletion ? await edgesOfDeletions(tx, [personId]) : [];
  const edge = edges.find((each) => each.edge_id === message.edgeId);
  if (!deletion || edge?.state !== 'pending') return;
  const now = deps.now();
  const askAgain = (inMs: number, error: TaskError | null) =>
    writeAskAgain(tx, personId, message.edgeId, new Date(now.getTime() + inMs), error);
  const answer = answerOf(message, personId);
  if (answer === 'at_work') return void (await askAgain(atWorkMs, null));
  if ('code' in answer) {
    // Away for as long as the call lived: the next one waits for it from now on.
    const pauseMs = answer.code === 'rpc_expired' ? 0 : Math.min(longestRetryMs, retryMs * edge.attempts);
    if (answer.code !== 'edge.not_found') return void (await askAgain(pauseMs, answer));
    await writeGone(tx, personId, [message.edgeId], now);
  } else await writeReceipt(tx, personId, message.edgeId, now, answer);
  await doomNotedCrops(tx, tenantId, personId, message.edgeId);
  const open = edges.some((each) => each.state === 'pending' && each.edge_id !== message.edgeId);
  if (!open && deletion.cleaned_at) await complete(tx, deletion, now);
}

function answerOf(message: Result, personId: string): ForgetReceipt | 'at_work' | TaskError {
  const codes: Record<string, string> = { EXPIRED: 'rpc_expired', TIMEOUT: 'rpc_timeout' };
  if (message.state === 'EXPIRED' || message.state === 'TIMEOUT') return { code: codes[message.state] ?? 'rpc_failed' };
  let reply: unknown;
  try {
    reply = JSON.parse(message.replyJson);
  } catch {
    return { code: 'rpc_reply_invalid' };
  }
  const parsed = forgetPersonReply.safeParse(reply);
  if (!parsed.success) return { code: message.state === 'SUCCESSFUL' ? 'rpc_reply_invalid' : 'rpc_failed' };
  if ('error' in parsed.data) {
    const { code } = parsed.data.error;
    return { code: /^[a-z0-9_.]{1,64}$/.test(code) ? code : 'rpc_reply_invalid' };
  }
  if ('accepted' in parsed.data) return 'at_work';
  return parsed.data.receipt.personId === personId ? parsed.data.receipt : { code: 'rpc_reply_invalid' };
}
