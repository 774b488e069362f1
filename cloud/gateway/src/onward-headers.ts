import type { FastifyReply } from 'fastify';

type Hooks = NonNullable<Parameters<FastifyReply['from']>[1]>;
type Rewrite = NonNullable<Hooks['rewriteRequestHeaders']>;

/** Between the client and us only (RFC 9110, 7.6.1); Node cannot pass some of them on at all. */
const ofThisHop: readonly string[] = ['expect', 'keep-alive', 'proxy-authorization', 'proxy-connection', 'te', 'trailer', 'upgrade'];
/** What announces a body. That of a GET is not passed on: a service told of one would take the next request on the line for it. */
const ofBodies: readonly string[] = ['content-length', 'content-type', 'transfer-encoding'];

/** The headers a service gets. Who called is said again: a client may have had it removed by naming it in `connection`. */
export const onwards: Rewrite = ({ raw }, headers) => {
  const out: ReturnType<Rewrite> = { ...headers, 'x-forwarded-for': raw.headers['x-forwarded-for'] };
  const bodiless = raw.method === 'GET' || raw.method === 'HEAD';
  for (const name of bodiless ? [...ofThisHop, ...ofBodies] : ofThisHop) delete out[name];
  return out;
};

/** The headers a client gets: whether its line stays open is not for the service to say. */
export const backwards: NonNullable<Hooks['rewriteHeaders']> = (headers) => {
  const out = { ...headers };
  for (const name of ['connection', 'keep-alive']) delete out[name];
  return out;
};
