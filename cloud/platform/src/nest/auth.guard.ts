import { type CanActivate, createParamDecorator, type ExecutionContext, Injectable } from '@nestjs/common';
import { type Access, isAreaScoped, type Permission } from '@stardipper/proto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { AreasVisibleTo } from '../identity/area-scope';
import { apiKeyPrefix, authErrors, type Caller, holds, type TokenVerifier } from '../identity/identity';

const callers = new WeakMap<FastifyRequest, Caller>();

/** The policy table: who may call the route with this method and pattern; undefined when it was never decided. */
export type AccessOf = (method: string, path: string) => Access | undefined;

/** Throws for a caller whose token is right and who may not come in all the same: the tenant is disabled, or has not this feature. */
export type Admit = (caller: Caller, route: { readonly method: string; readonly path: string }) => Promise<void>;

/** Who calls, on any route that is not public. */
export const CurrentCaller = createParamDecorator((_: unknown, context: ExecutionContext): Caller => {
  const caller = callers.get(context.switchToHttp().getRequest<FastifyRequest>());
  // A public route asking for its caller is a mistake of ours; it must not run as nobody.
  if (!caller) throw authErrors.error('auth.token_missing');
  return caller;
});

const stillLetIn = new WeakMap<FastifyRequest, () => Promise<void>>();

/** For answers that go on for long: asks again all that was asked before this request was let in, and throws as it did. */
export const StillLetIn = createParamDecorator((_: unknown, context: ExecutionContext): (() => Promise<void>) => {
  const ask = stillLetIn.get(context.switchToHttp().getRequest<FastifyRequest>());
  if (!ask) throw authErrors.error('auth.token_missing');
  return ask;
});

export const callerOf = (request: FastifyRequest): Caller | undefined => callers.get(request);

const checked = new WeakMap<FastifyRequest, Promise<Caller>>();

/** Who calls, by token or API key. Checked once per request, however many ask. Throws as TokenVerifier does, or `auth.token_missing`. */
export function identify(request: FastifyRequest, verifier: TokenVerifier): Promise<Caller> {
  const known = checked.get(request);
  if (known) return known;
  const asked = (async () => verifier.verify(credentialOf(request)))();
  checked.set(request, asked);
  return asked;
}

const isPermission = (access: Access | undefined): access is Permission =>
  access !== undefined && access !== 'anyone' && access !== 'public' && access !== 'probe';

/** Throws `auth.forbidden`. What is open to `anyone` is about the person who is logged in; a key is nobody's session. */
export function requireAccess(caller: Caller, access: Access | undefined): void {
  const may = access === 'anyone' ? caller.permissions === undefined : isPermission(access) && holds(caller, access);
  if (!may) throw authErrors.error('auth.forbidden');
}

/** Asks the policy table for every HTTP route. No token is 401, never 403. */
@Injectable()
export class AuthGuard implements CanActivate {
  constructor(
    private readonly verifier: TokenVerifier,
    private readonly accessOf: AccessOf,
    private readonly areasVisibleTo?: AreasVisibleTo,
    private readonly admit: Admit = async () => undefined,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    // Messages from the bus come from our own processes.
    if (context.getType() !== 'http') return true;
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    const url = request.routeOptions.url ?? '';
    const access = this.accessOf(request.method, url);
    if (access === 'public' || access === 'probe') return true;
    const caller = await identify(request, this.verifier);
    await this.letIn(caller, request.method, url, access);
    callers.set(request, caller);
    stillLetIn.set(request, async () => {
      await this.letIn(await this.verifier.verify(credentialOf(request)), request.method, url, access);
    });
    return true;
  }

  private async letIn(caller: Caller, method: string, path: string, access: Access | undefined): Promise<void> {
    await this.admit(caller, { method, path });
    const onAnArea = isPermission(access) && !holds(caller, access) && isAreaScoped(method, path);
    if (!onAnArea || !(await this.holdsSomewhere(caller, access))) requireAccess(caller, access);
  }

  private async holdsSomewhere(caller: Caller, permission: Permission): Promise<boolean> {
    const scope = await this.areasVisibleTo?.(caller, permission);
    return scope !== undefined && (scope === 'all' || scope.size > 0);
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

function credentialOf(request: FastifyRequest): string {
  const header = request.headers.authorization;
  const key = request.headers['x-api-key'];
  if (key !== undefined) {
    // Two answers to who is asking are none.
    if (header !== undefined || typeof key !== 'string' || !key.startsWith(apiKeyPrefix)) throw authErrors.error('auth.token_invalid');
    return key;
  }
  const [, token] = /^Bearer +([\w.~+/=-]+)$/i.exec(header ?? '') ?? [];
  if (token) return token;
  if (header !== undefined) throw authErrors.error('auth.token_invalid');
  // Never from the address: that ends up in histories and proxies' logs.
  throw authErrors.error('auth.token_missing');
}
