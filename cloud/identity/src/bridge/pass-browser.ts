import { randomBytes } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { notice } from '../pages/forms';
import { drawPage } from '../pages/page';
import { languageOf, wordsOf } from '../pages/words';
import type { Service } from './service';

const stateSeconds = 600;
/** Feishu's own code lives five minutes, WeChat's ten; Keycloak fetches at once. */
const codeSeconds = 120;

const asked = z.object({
  client_id: z.string(),
  redirect_uri: z.string(),
  response_type: z.literal('code'),
  state: z.string().max(1024).optional(),
  nonce: z.string().max(512).optional(),
  code_challenge: z.string().max(128).optional(),
  code_challenge_method: z.literal('S256').optional(),
});
const returned = z.object({ code: z.string().min(1).max(1024).optional(), state: z.string().max(128) });
const waiting = asked.pick({ state: true, nonce: true, code_challenge: true }).extend({ marker: z.string() });

/** What a code of ours holds: opened by `issueToken`. */
export const granted = z.object({
  upstreamCode: z.string(),
  nonce: z.string().optional(),
  code_challenge: z.string().optional(),
  /** Where the browser called from: the one who redeems the code is Keycloak. */
  ip: z.string(),
});

const cookieName = (name: string) => `star_log_in_${name}`;

/** From Keycloak on to the service. Nobody is sent to an address that is not Keycloak's, not even with an error: that is a page of 400. */
export async function sendOn(service: Service, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const { name, path, issuer, redirectUri, upstream, seal, options } = service;
  const input = asked.safeParse(request.query);
  if (!input.success || input.data.client_id !== options.client.id || input.data.redirect_uri !== redirectUri)
    return showPage(service, request, reply, 'error');
  const { state, nonce, code_challenge } = input.data;
  const marker = randomBytes(16).toString('hex');
  const cookie = await seal.close(`${name}.state`, { state, nonce, code_challenge, marker }, stateSeconds);
  const flags = `Path=${path}; HttpOnly; SameSite=Lax; Max-Age=${stateSeconds}${issuer.startsWith('https:') ? '; Secure' : ''}`;
  return reply
    .header('set-cookie', `${cookieName(name)}=${cookie}; ${flags}`)
    .header('cache-control', 'no-store')
    .redirect(upstream.authorizationUrl(`${issuer}/callback`, marker), 302);
}

/** From the service back to Keycloak: only in the browser that set out, once, and within ten minutes; else a page of 400 says what to do. */
export async function comeBack(service: Service, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const { name, path, redirectUri, seal } = service;
  const input = returned.safeParse(request.query);
  const cookie = new RegExp(`(?:^|; )${cookieName(name)}=([^;]+)`).exec(request.headers.cookie ?? '')?.[1];
  const kept = waiting.safeParse(cookie && (await seal.open(`${name}.state`, cookie)));
  if (!input.success || !kept.success || kept.data.marker !== input.data.state) return showPage(service, request, reply, 'ended');
  const { state, nonce, code_challenge } = kept.data;
  const back = new URL(redirectUri);
  if (state !== undefined) back.searchParams.set('state', state);
  if (input.data.code === undefined) back.searchParams.set('error', 'access_denied');
  else {
    const content: z.input<typeof granted> = { upstreamCode: input.data.code, nonce, code_challenge, ip: request.ip };
    back.searchParams.set('code', await seal.close(`${name}.code`, content, codeSeconds));
  }
  return reply
    .header('set-cookie', `${cookieName(name)}=; Path=${path}; Max-Age=0`)
    .header('cache-control', 'no-store')
    .redirect(back.href, 302);
}

function showPage({ options }: Service, request: FastifyRequest, reply: FastifyReply, what: 'ended' | 'error'): FastifyReply {
  const language = languageOf(undefined, request.headers['accept-language']);
  const words = wordsOf(language);
  const title = words[`${what}Title`];
  const home = { to: `${options.publicUrl}/`, text: words.console };
  const { headers, text } = drawPage({ language, title, body: notice(title, words[what], home) });
  return reply.status(400).headers(headers).send(text);
}
