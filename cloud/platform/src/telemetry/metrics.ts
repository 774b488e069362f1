import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** Bounds in seconds; dense around the 100 ms that a task's acceptance may take. */
const buckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10];

/** One registry per process, given to whoever measures; nothing registers itself globally. */
export interface Metrics {
  readonly registry: Registry;
  readonly httpSeconds: Histogram<'method' | 'route' | 'status'>;
  readonly databaseSeconds: Histogram<'kind' | 'outcome'>;
  /** From when an event happened to the end of a try at handling it. */
  readonly busSeconds: Histogram<'topic' | 'group' | 'outcome'>;
  readonly busLag: Gauge<'group'>;
  counter(name: string, help: string, labels?: readonly string[]): Counter;
  histogram(name: string, help: string, labels?: readonly string[]): Histogram;
  gauge(name: string, help: string, labels?: readonly string[]): Gauge;
}

/** `process: false` leaves out Node's own metrics, whose collectors keep timers: for tests. */
export function createMetrics(options: { service: string; process?: boolean }): Metrics {
  const registry = new Registry();
  registry.setDefaultLabels({ service: options.service });
  if (options.process !== false) collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const histogram = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Histogram<L>({ name, help, labelNames: [...labelNames], buckets, registers });
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Gauge<L>({ name, help, labelNames: [...labelNames], registers });
  return {
    registry,
    httpSeconds: histogram('star_http_request_seconds', 'Time from the request to the end of the answer', ['method', 'route', 'status']),
    databaseSeconds: histogram('star_database_transaction_seconds', 'Time of a transaction', ['kind', 'outcome']),
    busSeconds: histogram('star_bus_delivery_seconds', 'Time from the event to handled', ['topic', 'group', 'outcome']),
    busLag: gauge('star_bus_lag_records', 'Records appended and not yet handled', ['group']),
    counter: (name, help, labels = []) => new Counter({ name, help, labelNames: [...labels], registers }),
    histogram,
    gauge,
  };
}
