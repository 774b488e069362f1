import { type CanActivate, createParamDecorator, type ExecutionContext, Injectable, SetMetadata } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyRequest } from 'fastify';
import { authErrors, type Caller, type TokenVerifier } from '../identity/identity';

const publicKey = 'star:public';
const rolesKey = 'star:roles';
const callers = new WeakMap<FastifyRequest, Caller>();

/** The route answers without a token. */
export const Public = () => SetMetadata(publicKey, true);

/** The caller needs at least one of these roles; `auth.forbidden` otherwise. */
export const RequireRole = (...roles: [string, ...string[]]) => SetMetadata(rolesKey, roles);

/** Who calls, on any route that is not public. */
export const CurrentCaller = createParamDecorator((_: unknown, context: ExecutionContext): Caller => {
  const caller = callers.get(context.switchToHttp().getRequest<FastifyRequest>());
  // A public route asking for its caller is a mistake of ours; it must not run as nobody.
  if (!caller) throw authErrors.error('auth.token_missing');
  return caller;
});

export const callerOf = (request: FastifyRequest): Caller | undefined => callers.get(request);

/** Every HTTP route wants a token unless marked `@Public()`. No token is 401, never 403. */
@Injectable()
export class AuthGuard implements CanActivate {
  constructor(
    private readonly verifier: TokenVerifier,
    private readonly reflector: Reflector = new Reflector(),
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    // Messages from the bus come from our own processes.
    if (context.getType() !== 'http') return true;
    const where = [context.getHandler(), context.getClass()];
    if (this.reflector.getAllAndOverride<boolean | undefined>(publicKey, where)) return true;
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    const caller = await this.verifier.verify(bearerToken(request));
    const roles = this.reflector.getAllAndOverride<string[] | undefined>(rolesKey, where);
    if (roles && !roles.some((role) => caller.roles.includes(role))) throw authErrors.error('auth.forbidden');
    callers.set(request, caller);
    return true;
  }
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
