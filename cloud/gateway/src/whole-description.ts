import { gatewayErrors } from './gateway.errors';
import type { Upstreams } from './pass-on';
import { serviceNames } from './routes';

type Part = Record<string, unknown> & { paths: Record<string, unknown>; components?: Record<string, Record<string, unknown>> };

/** Descriptions change with a service's version only. */
const keepMs = 60_000;

/**
 * The OpenAPI description of all services together, as the all-in-one gives it. A service that is away is described by
 * what it said last; one that never said anything makes it `service.unavailable`, since half a description reads as a whole one.
 */
export function describeAll(upstreams: Upstreams): () => Promise<unknown> {
  const known = new Map<string, { readonly part: Part; readonly untilMs: number }>();
  const partOf = async (service: (typeof serviceNames)[number]): Promise<Part> => {
    const last = known.get(service);
    if (last && last.untilMs > Date.now()) return last.part;
    try {
      const answer = await fetch(`${upstreams[service]}/api/openapi.json`, { signal: AbortSignal.timeout(5000) });
      if (!answer.ok) throw new Error(`${service} answers ${answer.status}`);
      const part = (await answer.json()) as Part;
      known.set(service, { part, untilMs: Date.now() + keepMs });
      return part;
    } catch (error) {
      if (last) return last.part;
      throw gatewayErrors.error('service.unavailable', { service }, error);
    }
  };
  return async () => {
    const parts = await Promise.all(serviceNames.map(partOf));
    const names = new Set(parts.flatMap((part) => Object.keys(part.components ?? {})));
    const components = [...names].map((name) => [name, Object.assign({}, ...parts.map((part) => part.components?.[name] ?? {}))]);
    return {
      ...parts[0],
      paths: Object.assign({}, ...parts.map((part) => part.paths)) as unknown,
      components: Object.fromEntries(components) as unknown,
    };
  };
}
