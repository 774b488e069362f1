import { type CanActivate, createParamDecorator, type ExecutionContext, Injectable } from '@nestjs/common';
import { type Access, permissionsOf } from '@stardipper/proto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { authErrors, type Caller, type TokenVerifier } from '../identity/identity';

const callers = new WeakMap<FastifyRequest, Caller>();

/** The policy table: who may call the route with this method and pattern; undefined when it was never decided. */
export type AccessOf = (method: string, path: string) => Access | undefined;

/** Throws for a caller whose token is right and who may not come in all the same: the tenant is disabled. */
export type Admit = (caller: Caller) => Promise<void>;

/** Who calls, on any route that is not public. */
export const CurrentCaller = createParamDecorator((_: unknown, context: ExecutionContext): Caller => {
  const caller = callers.get(context.switchToHttp().getRequest<FastifyRequest>());
  // A public route asking for its caller is a mistake of ours; it must not run as nobody.
  if (!caller) throw authErrors.error('auth.token_missing');
  return caller;
});

export const callerOf = (request: FastifyRequest): Caller | undefined => callers.get(request);

/** Asks the policy table for every HTTP route. No token is 401, never 403. */
@Injectable()
export class AuthGuard implements CanActivate {
  constructor(
    private readonly verifier: TokenVerifier,
    private readonly accessOf: AccessOf,
    private readonly admit: Admit = async () => undefined,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    // Messages from the bus come from our own processes.
    if (context.getType() !== 'http') return true;
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    const access = this.accessOf(request.method, request.routeOptions.url ?? '');
    if (access === 'public' || access === 'probe') return true;
    const caller = await this.verifier.verify(bearerToken(request));
    await this.admit(caller);
    if (access === undefined || (access !== 'anyone' && !permissionsOf(caller.roles).has(access))) throw authErrors.error('auth.forbidden');
    callers.set(request, caller);
    return true;
  }
}

/** Fails the start when a controller has a route that the table does not name. Call before the routes are added. */
export function requireClassified(fastify: FastifyInstance, accessOf: AccessOf): { check(): void } {
  const unknown: string[] = [];
  fastify.addHook('onRoute', ({ method, url }) => {
    for (const each of [method].flat()) {
      if (each !== 'OPTIONS' && accessOf(each, url) === undefined && url.startsWith('/api/')) unknown.push(`${each} ${url}`);
    }
  });
  return {
    check: () => {
      if (unknown.length > 0) throw new Error(`not in the policy table (proto/src/policy): ${unknown.join(', ')}`);
    },
  };
}

function bearerToken(request: FastifyRequest): string {
  const header = request.headers.authorization;
  const [, token] = /^Bearer +([\w.~+/=-]+)$/i.exec(header ?? '') ?? [];
  if (token) return token;
  if (header !== undefined) throw authErrors.error('auth.token_invalid');
  // A browser's EventSource cannot set a header. Only there: addresses end up in histories and proxies' logs.
  const inQuery = (request.query as Record<string, unknown> | undefined)?.access_token;
  const streams = request.method === 'GET' && (request.headers.accept ?? '').includes('text/event-stream');
  if (streams && typeof inQuery === 'string' && inQuery !== '') return inQuery;
  throw authErrors.error('auth.token_missing');
}
