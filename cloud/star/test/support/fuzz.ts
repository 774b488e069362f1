/** Requests made of the ids, tokens, keys, headers and cursors of two tenants, shuffled by a seed. */
import { randomUUID } from 'node:crypto';
import type { PolicyRow } from '@stardipper/proto';
import type { Furnished, Thing } from './furnish';
import { isStream, requestFor, rows, thingsIn } from './requests';
import type { Answer, Ask, WholeStar } from './whole-star';

/** mulberry32. */
function random(from: number): () => number {
  let state = from;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Side {
  readonly own: Furnished;
  readonly other: Furnished;
  readonly credentials: readonly Record<string, string>[];
}

export interface Shot {
  readonly side: Side;
  readonly row: PolicyRow;
  readonly asked: Ask;
  readonly nobody: boolean;
  /** A right request, of which these in its path are the other's. */
  readonly named: readonly Thing[];
  /** Nothing in its path is the asker's. */
  readonly onlyForeign: boolean;
}

export interface Shooter {
  aim(): Shot;
  /** Cursors are used again by both tenants: they may be passed on. */
  remember(cursor: string): void;
}

/** The same seed and the same cursors make the same requests. */
export async function createShooter(star: WholeStar, seed: number, tenants: readonly [Furnished, Furnished]): Promise<Shooter> {
  const next = random(seed);
  const pick = <T>(all: readonly T[]): T => all[Math.floor(next() * all.length)] as T;
  const chance = (part: number): boolean => next() < part;
  const [east, west] = tenants;
  const sides = [await sideOf(star, east, west), await sideOf(star, west, east)];
  const usable = rows.filter((row) => !isStream(row));
  const cursors: string[] = [];

  /** Things of one side, of the other, and of nobody, mixed id by id. */
  function mixed({ own, other }: Side): { about: Furnished; foreign: Set<Thing> } {
    const foreign = new Set<Thing>();
    const swap = chance(0.5);
    const ids = Object.fromEntries(
      (Object.keys(own.ids) as Thing[]).map((thing) => {
        if (swap && chance(0.6)) {
          foreign.add(thing);
          return [thing, other.ids[thing]];
        }
        if (chance(0.03)) return [thing, encodeURIComponent(pick(strange))];
        return [thing, chance(0.05) ? other.ids[pick(Object.keys(other.ids) as Thing[])] : own.ids[thing]];
      }),
    ) as Furnished['ids'];
    return { about: { ...own, ids }, foreign };
  }

  function bent(side: Side, request: Ask): Ask {
    const parameters: string[] = [];
    if (chance(0.3)) parameters.push(`cursor=${encodeURIComponent(chance(0.8) && cursors.length > 0 ? pick(cursors) : pick(strange))}`);
    if (chance(0.3)) parameters.push(`limit=${pick(['1', '2', '50', '0', 'x', '1e9'])}`);
    if (chance(0.1)) parameters.push(`${pick(['edgeId', 'cameraId', 'personId', 'areaId'])}=${pick(Object.values(side.other.ids))}`);
    if (chance(0.05))
      parameters.push(
        `${pick(['tenantId', 'tenant_id', 'access_token', 'action'])}=${pick([side.other.tenantId, side.other.token, ...strange.map(encodeURIComponent)])}`,
      );
    const url = parameters.length === 0 ? request.url : `${request.url}${request.url.includes('?') ? '&' : '?'}${parameters.join('&')}`;
    const body = chance(0.1)
      ? pick<unknown>([
          undefined,
          {},
          [],
          'text',
          7,
          { name: 'x', id: side.other.ids.personId },
          { tenantId: side.other.tenantId, name: 'x' },
          { id: side.other.ids.edgeId },
        ])
      : request.body;
    const headers = { ...request.headers, ...(chance(0.4) ? pick(spoofed(side.other)) : {}) };
    const method = chance(0.03) ? pick(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']) : request.method;
    return { method, url, headers, body };
  }

  function aim(): Shot {
    const side = pick(sides);
    const row = pick(usable);
    // What is deleted is gone for the rest of the run: mostly of things that are not the asker's.
    const { about, foreign } =
      row.method === 'DELETE' && chance(0.98)
        ? { about: side.other, foreign: new Set(Object.keys(side.other.ids) as Thing[]) }
        : mixed(side);
    const plain = requestFor(row, about);
    const whole = chance(0.5);
    const request = whole ? plain : bent(side, plain);
    const nobody = chance(0.02);
    const asked: Ask = { ...request, headers: { ...request.headers, ...(nobody ? {} : pick(side.credentials)) } };
    const all = thingsIn(row);
    const named = whole ? all.filter((thing) => foreign.has(thing)) : [];
    return { side, row, asked, nobody, named, onlyForeign: named.length > 0 && named.length === all.length };
  }

  return {
    aim,
    remember: (cursor) => {
      if (cursors.length < 200) cursors.push(cursor);
      else cursors[Math.floor(next() * cursors.length)] = cursor;
    },
  };
}

async function sideOf(star: WholeStar, own: Furnished, other: Furnished): Promise<Side> {
  const admin = await star.tokenFor({ tenantId: own.tenantId, roles: ['tenant-admin', 'operator', 'auditor', 'viewer'] });
  const viewer = await star.tokenFor({ tenantId: own.tenantId, roles: ['viewer'] });
  // A key of its own to ask with: the one that requests name is withdrawn sooner or later, and a dead one proves nothing.
  const issued = await star.ask({
    method: 'POST',
    url: '/api/v1/api-keys',
    headers: { authorization: `Bearer ${own.token}` },
    body: { name: `${own.mark} asking`, permissions: ['people.read', 'searches.read', 'searches.write', 'edges.read'] },
  });
  const key = issued.body.key as string;
  const bearer = [own.token, own.token, admin, viewer, key].map((token) => ({ authorization: `Bearer ${token}` }));
  return { own, other, credentials: [...bearer, { 'x-api-key': key }] };
}

const strange = [
  '',
  '0',
  '-1',
  'null',
  '%00',
  '..',
  "' OR 1=1 --",
  '00000000-0000-0000-0000-000000000000',
  'a'.repeat(600),
  '%F0%9F%98%80',
  '{}',
  '*',
  ':',
];
const spoofed = (about: Furnished): Record<string, string>[] => [
  { 'x-tenant-id': about.tenantId },
  { 'x-user-id': randomUUID(), 'x-roles': 'platform-operator,tenant-admin' },
  { 'x-forwarded-for': '127.0.0.1', 'x-forwarded-user': about.mark },
  { 'x-original-url': `/api/v1/people/${about.ids.personId}` },
  { 'x-http-method-override': 'GET' },
  { 'idempotency-key': about.mark },
  { 'last-event-id': '1' },
  { cookie: `session=${about.token}` },
  { 'content-type': 'text/plain' },
  { host: about.mark },
];

/** What of the other an answer tells, beside what the request said itself (an error names the id that was asked for). */
function leaks(side: Side, asked: Ask, answered: Answer): string[] {
  const said = asked.url + JSON.stringify(asked.body ?? '') + JSON.stringify(asked.headers);
  const heard = answered.text + answered.headers;
  return side.other.secrets.filter((secret) => heard.includes(secret) && !said.includes(secret));
}

/** What is wrong with an answer; nothing, when all is well. */
export function wrongWith({ side, row, asked, nobody, named, onlyForeign }: Shot, answer: Answer): string[] {
  const { status } = answer;
  const wrong: string[] = [];
  const told = leaks(side, asked, answer);
  if (told.length > 0) wrong.push(`tells ${told}`);
  // Its Mizar is not there, which is no failure of Star's.
  if (status >= 500 && status !== 503) wrong.push('fails');
  if (nobody && row.access !== 'public' && status < 400) wrong.push('is open to nobody');
  if (named.length > 0 && status < 400) wrong.push(`takes another tenant's ${named}`);
  if (onlyForeign && ![401, 403, 404].includes(status)) wrong.push(`is not 404 about another tenant's ${named}`);
  return wrong;
}
