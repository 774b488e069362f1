import { Controller, Get, Inject, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import type { Metrics } from '../telemetry/metrics';

/** Something the process cannot serve without. */
export interface HealthCheck {
  run(): Promise<unknown>;
  /** 2 s unless told: probes give up after a few. */
  readonly timeoutMs?: number;
}

export interface HealthState {
  readonly checks: Readonly<Record<string, HealthCheck>>;
  readonly metrics?: Metrics;
  /** Set when shutting down, so that no new requests are sent here. */
  closing: boolean;
}

export const HEALTH = Symbol('health');

type Outcome = { ok: boolean; durationMs: number };

/** For probes and scrapes; the gateway does not pass these outside. */
@ApiExcludeController()
@Controller()
export class HealthController {
  /** A probe that comes while a check still runs shares it: a slow database is not asked more often for being slow. */
  private readonly running = new Map<string, Promise<Outcome>>();

  constructor(@Inject(HEALTH) private readonly state: HealthState) {}

  @Get('healthz')
  alive() {
    return { status: 'alive' };
  }

  @Get('readyz')
  async ready(@Res({ passthrough: true }) reply: FastifyReply) {
    const names = Object.keys(this.state.checks);
    const outcomes = await Promise.all(names.map((name) => this.check(name, this.state.checks[name]!)));
    const ready = !this.state.closing && outcomes.every((outcome) => outcome.ok);
    reply.status(ready ? 200 : 503).header('cache-control', 'no-store');
    return {
      status: this.state.closing ? 'closing' : ready ? 'ready' : 'unready',
      checks: Object.fromEntries(names.map((name, at) => [name, outcomes[at]])),
    };
  }

  @Get('metrics')
  async metrics(@Res() reply: FastifyReply) {
    const registry = this.state.metrics?.registry;
    await reply.header('content-type', registry?.contentType ?? 'text/plain').send(registry ? await registry.metrics() : '');
  }

  private check(name: string, { run, timeoutMs = 2000 }: HealthCheck): Promise<Outcome> {
    const known = this.running.get(name);
    if (known) return known;
    const started = performance.now();
    const durationMs = () => Math.round(performance.now() - started);
    const outcome = new Promise<Outcome>((done) => {
      const timer = setTimeout(() => done({ ok: false, durationMs: durationMs() }), timeoutMs);
      // Why a check failed is for the log of the thing itself; an answer here is readable by anyone in the cluster.
      Promise.resolve()
        .then(run)
        .then(
          () => done({ ok: true, durationMs: durationMs() }),
          () => done({ ok: false, durationMs: durationMs() }),
        )
        .finally(() => clearTimeout(timer));
    }).finally(() => this.running.delete(name));
    this.running.set(name, outcome);
    return outcome;
  }
}
