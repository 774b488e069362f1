import type { Database, Log, WriteEvents } from '@star/platform';
import { devicesErrors } from '../devices.errors';
import type { DeviceSession } from '../hub/device-session';
import { EndWriter } from './end-writer';
import { type Answer, firstQuestion, type Line, newLine, type Sent } from './line';
import { ProgressWriter } from './progress-writer';
import { type FinalState, type OpenRpc, wallClockMs } from './rpc';
import { edgesWithForgottenRpcs, openRpcs, type RpcEnd } from './rpc.store';

export interface DispatcherDeps {
  readonly db: Database;
  readonly writeEvents: WriteEvents;
  readonly log: Log;
  /** Without a PUBACK for so long, a sending counts as a timeout. ThingsBoard: 10 s. */
  readonly ackTimeoutMs: number;
}

/** Calls held in memory for one device; the rest waits in the table. */
const maxHeld = 500;
const maxQuestions = 50;
const sweepEveryMs = 250;
const forgottenEveryMs = 5000;

/** Brings RPCs to the devices connected here and takes their replies. */
export class Dispatcher {
  readonly #lines = new Map<string, Line>();
  readonly #progress: ProgressWriter;
  readonly #ends: EndWriter;
  #sweeper: NodeJS.Timeout | undefined;
  #lookedForForgottenAt = performance.now();
  readonly #working = new Set<Promise<unknown>>();

  constructor(private readonly deps: DispatcherDeps) {
    this.#progress = new ProgressWriter(deps.db, deps.log);
    this.#ends = new EndWriter(deps.db, deps.writeEvents);
  }

  start(): void {
    this.#sweeper = setInterval(() => this.#sweep(), sweepEveryMs);
  }

  async stop(): Promise<void> {
    clearInterval(this.#sweeper);
    await Promise.all(this.#working);
    await this.#progress.flush();
  }

  /** The device takes RPCs from now on: whatever has not ended is sent, also what an earlier session was sent already. */
  subscribed(session: DeviceSession): void {
    if (this.#lines.get(session.edge.id)?.session !== session) {
      this.#drop(session.edge.id);
      this.#lines.set(session.edge.id, newLine(session));
    }
    this.wake(session.edge.id);
  }

  closed(session: DeviceSession): void {
    if (this.#lines.get(session.edge.id)?.session === session) this.#drop(session.edge.id);
  }

  /** True when the device is here and its call is on the way. Anything else is found in the table later. */
  offer(rpc: OpenRpc): boolean {
    const line = this.#lines.get(rpc.edgeId);
    if (!line) return false;
    if (this.#holds(line) >= maxHeld) line.loadAgain = true;
    else if (!line.sent.has(rpc.requestId)) line.waiting.set(rpc.requestId, rpc);
    this.#pump(line);
    return true;
  }

  /** There may be calls in the table for this edge. */
  wake(edgeId: string): void {
    const line = this.#lines.get(edgeId);
    if (!line) return;
    line.loadAgain = true;
    if (!line.loading) this.#track(this.#load(line));
  }

  wakeAll(): void {
    for (const edgeId of this.#lines.keys()) this.wake(edgeId);
  }

  /** The device is connected here and takes RPCs. */
  canAsk(edgeId: string): boolean {
    return this.#lines.get(edgeId)?.session.takesRpcs === true;
  }

  /** Asks now, remembers nothing. Rejects with `edge.offline`, `edge.timeout` or `edge.busy`. */
  async ask(edgeId: string, method: string, paramsJson: string, timeoutMs: number): Promise<Answer> {
    const line = this.#lines.get(edgeId);
    if (!line?.session.takesRpcs) throw devicesErrors.error('edge.offline', { edgeId });
    if (line.questions.size >= maxQuestions) throw devicesErrors.error('edge.busy', { edgeId });
    const requestId = line.nextQuestion++;
    return new Promise<Answer>((resolve, reject) => {
      const writtenAt = line.session.sendRpc(requestId, method, paramsJson, () => {});
      if (writtenAt === undefined) {
        reject(devicesErrors.error('edge.busy', { edgeId }));
        return;
      }
      const settle = () => {
        clearTimeout(timer);
        line.questions.delete(requestId);
      };
      const timer = setTimeout(() => {
        settle();
        reject(devicesErrors.error('edge.timeout', { edgeId, method, timeoutMs }));
      }, timeoutMs);
      line.questions.set(requestId, {
        writtenAt,
        resolve: (answer) => {
          settle();
          resolve(answer);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      });
    });
  }

  /** A device's reply; resolves when it is durable. A reply nobody waits for is dropped. */
  async reply(session: DeviceSession, requestId: number, replyJson: string, readAt: number): Promise<void> {
    const line = this.#lines.get(session.edge.id);
    const question = line?.questions.get(requestId);
    if (question) {
      question.resolve({ replyJson, roundTripMs: readAt - question.writtenAt });
      return;
    }
    if (requestId >= firstQuestion) return;
    const sent = line?.session === session ? line.sent.get(requestId) : undefined;
    await this.#end({
      edgeId: session.edge.id,
      tenantId: session.edge.tenantId,
      rpcId: sent?.rpc.id,
      requestId,
      state: 'SUCCESSFUL',
      replyJson,
      repliedAtMs: wallClockMs(readAt),
      ...(sent && {
        sentAtMs: wallClockMs(sent.writtenAt),
        // A reply says that the call has arrived, whether its PUBACK is here or still behind.
        deliveredAtMs: wallClockMs(sent.ackedAt ?? readAt),
        roundTripMs: readAt - sent.writtenAt,
      }),
    });
    if (!line) return;
    line.sent.delete(requestId);
    line.waiting.delete(requestId);
    if (line.loading) line.endedMeanwhile.add(requestId);
    this.#pump(line);
  }

  async #end({ tenantId, rpcId, ...end }: RpcEnd & { tenantId: string; rpcId: string | undefined; state: FinalState }): Promise<void> {
    const ended = await this.#ends.end(tenantId, end);
    if (rpcId !== undefined) this.#progress.forget(rpcId);
    if (!ended) this.deps.log.info({ edgeId: end.edgeId, requestId: end.requestId }, 'a reply to no open RPC was dropped');
  }

  #holds(line: Line): number {
    return line.waiting.size + line.sent.size;
  }

  #drop(edgeId: string): void {
    const line = this.#lines.get(edgeId);
    if (!line) return;
    this.#lines.delete(edgeId);
    line.waiting.clear();
    line.sent.clear();
    for (const question of line.questions.values()) question.reject(devicesErrors.error('edge.offline', { edgeId }));
  }

  async #load(line: Line): Promise<void> {
    line.loading = true;
    try {
      while (line.loadAgain && this.#lines.get(line.session.edge.id) === line) {
        line.loadAgain = false;
        const room = maxHeld - this.#holds(line);
        if (room <= 0) {
          line.loadAgain = true;
          return;
        }
        const known = [...line.waiting.keys(), ...line.sent.keys()];
        const { id, tenantId } = line.session.edge;
        const rpcs = await this.deps.db.tenant(tenantId, (tx) => openRpcs(tx, id, known, room));
        for (const rpc of rpcs) {
          const held = line.sent.has(rpc.requestId) || line.waiting.has(rpc.requestId) || line.endedMeanwhile.has(rpc.requestId);
          if (!held) line.waiting.set(rpc.requestId, rpc);
        }
        if (rpcs.length === room) line.loadAgain = true;
        this.#pump(line);
        if (rpcs.length === room) return;
      }
    } catch (error) {
      line.loadAgain = true;
      this.deps.log.warn({ err: error, edgeId: line.session.edge.id }, 'open RPCs could not be read and are read again');
    } finally {
      line.loading = false;
      line.endedMeanwhile.clear();
    }
  }

  #pump(line: Line): void {
    if (!line.session.takesRpcs || line.session.connection.lastReadAt < line.quietSince) return;
    const nowMs = Date.now();
    for (const [requestId, rpc] of line.waiting) {
      if (rpc.expiresAtMs <= nowMs) {
        line.waiting.delete(requestId);
        continue;
      }
      if (!line.session.hasRoom) return;
      // Before the writing: with QoS 0 the acknowledgement comes during it.
      const sent: Sent = { rpc, writtenAt: performance.now() };
      line.waiting.delete(requestId);
      line.sent.set(requestId, sent);
      const writtenAt = line.session.sendRpc(requestId, rpc.method, rpc.paramsJson, () => this.#delivered(line, sent));
      if (writtenAt === undefined) {
        line.sent.delete(requestId);
        line.waiting.set(requestId, rpc);
        return;
      }
      if (sent.ackedAt === undefined)
        this.#progress.note(rpc.id, { state: 'SENT', timeouts: rpc.timeouts, sentAtMs: wallClockMs(sent.writtenAt) });
    }
  }

  #delivered(line: Line, sent: Sent): void {
    if (line.sent.get(sent.rpc.requestId) !== sent) return;
    sent.ackedAt = performance.now();
    const { id, timeouts } = sent.rpc;
    this.#progress.note(id, {
      state: 'DELIVERED',
      timeouts,
      sentAtMs: wallClockMs(sent.writtenAt),
      deliveredAtMs: wallClockMs(sent.ackedAt),
    });
    if (line.waiting.size > 0) this.#pump(line);
  }

  #sweep(): void {
    const now = performance.now();
    const nowMs = Date.now();
    for (const line of this.#lines.values()) {
      for (const [requestId, sent] of line.sent) {
        if (sent.rpc.expiresAtMs <= nowMs) line.sent.delete(requestId);
        else if (sent.ackedAt === undefined && now - sent.writtenAt > this.deps.ackTimeoutMs) this.#timedOut(line, sent, now);
      }
      if (line.waiting.size > 0) this.#pump(line);
      if (line.loadAgain && !line.loading && this.#holds(line) < maxHeld) this.#track(this.#load(line));
    }
    if (now - this.#lookedForForgottenAt < forgottenEveryMs || this.#lines.size === 0) return;
    this.#lookedForForgottenAt = now;
    this.#track(this.#wakeForgotten());
  }

  #timedOut(line: Line, sent: Sent, now: number): void {
    const { rpc } = sent;
    const timeouts = rpc.timeouts + 1;
    line.sent.delete(rpc.requestId);
    if (timeouts <= rpc.retries) {
      line.quietSince = now;
      line.waiting.set(rpc.requestId, { ...rpc, timeouts });
      this.#progress.note(rpc.id, { state: 'TIMEOUT', timeouts, sentAtMs: wallClockMs(sent.writtenAt) });
      return;
    }
    const replyJson = JSON.stringify({ error: { code: 'rpc.retries_exhausted', params: { retries: rpc.retries } } });
    const end = { edgeId: rpc.edgeId, tenantId: rpc.tenantId, rpcId: rpc.id, requestId: rpc.requestId, timeouts, replyJson };
    this.#track(
      this.#end({ ...end, state: 'FAILED', sentAtMs: wallClockMs(sent.writtenAt) }).catch((error: unknown) => {
        this.deps.log.warn({ err: error, rpcId: rpc.id }, 'the failure of an RPC was not written and is found again in the table');
        line.loadAgain = true;
      }),
    );
  }

  /** A signal may get lost between two databases connections; the table does not. */
  async #wakeForgotten(): Promise<void> {
    const edges = [...this.#lines.keys()];
    try {
      for (const edgeId of await this.deps.db.system('forgotten RPCs', (tx) => edgesWithForgottenRpcs(tx, edges, forgottenEveryMs)))
        this.wake(edgeId);
    } catch (error) {
      this.deps.log.warn({ err: error }, 'forgotten RPCs could not be looked for');
    }
  }

  #track(work: Promise<unknown>): void {
    this.#working.add(work);
    void work.finally(() => this.#working.delete(work));
  }
}
