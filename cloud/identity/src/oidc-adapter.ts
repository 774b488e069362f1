import { createHash } from 'node:crypto';
import type { Tx } from '@star/platform';
import { type Adapter, type AdapterPayload, errors } from 'oidc-provider';
import type { IdentityDeps } from './deps';
import {
  consumeRecord,
  findRecord,
  findSessionRecord,
  grantOf,
  removeGrant,
  removeRecord,
  type StoredRecord,
  sweepRecords,
  upsertRecord,
} from './oidc.store';
import { sessionTtlS } from './realm';

/** A log-in under way belongs to nobody yet, whoever is logged in in that browser: it must not end with his sessions. */
const nobodys = new Set(['Interaction']);

/**
 * What the provider keeps, in PostgreSQL. Ids of sessions, codes and tokens are the secrets that browsers and programs
 * hold, so they are stored as hashes only, and what is read by another key does not tell them.
 */
export function createOidcAdapter(deps: Pick<IdentityDeps, 'database' | 'now'>): (kind: string) => Adapter {
  const run = <T>(work: (tx: Tx) => Promise<T>) => deps.database.system('keep sessions', work);
  return (kind) => ({
    upsert: async (id, payload, expiresInS) => {
      const now = deps.now();
      const { jti: _, grantId, accountId, uid, ...rest } = payload;
      await run(async (tx) => {
        if (kind === 'Interaction') await sweepRecords(tx, now);
        await upsertRecord(tx, {
          kind,
          idSha256: hashOf(id),
          userId: nobodys.has(kind) ? null : (accountId ?? null),
          grantId: grantId ?? null,
          sessionUid: kind === 'Session' ? (uid ?? null) : null,
          payload: JSON.stringify({ ...withoutCookie(rest), grantId, accountId, uid }),
          expiresAt: new Date(now.getTime() + (expiresInS ?? sessionTtlS) * 1000),
        });
      });
    },
    find: async (id) => {
      const stored = await run((tx) => findRecord(tx, kind, hashOf(id), deps.now()));
      return stored && { ...payloadOf(stored), jti: id };
    },
    findByUid: async (uid) => {
      const stored = await run((tx) => findSessionRecord(tx, uid, deps.now()));
      return stored && payloadOf(stored);
    },
    // No flow that has user codes is on.
    findByUserCode: async () => undefined,
    consume: async (id) => {
      const used = await run(async (tx) => {
        const consumed = await consumeRecord(tx, kind, hashOf(id), deps.now());
        // Two at once have both read it unused: the second is a reuse all the same, and ends what the first was given,
        // or is being given at this moment.
        const grantId = consumed === 0 ? await grantOf(tx, kind, hashOf(id)) : undefined;
        if (grantId !== undefined) await removeGrant(tx, grantId, hashOf(grantId));
        return consumed;
      });
      if (used === 0) throw new errors.InvalidGrant(`${kind} already used`);
    },
    destroy: async (id) => {
      await run((tx) => removeRecord(tx, kind, hashOf(id)));
    },
    revokeByGrantId: async (grantId) => {
      await run((tx) => removeGrant(tx, grantId, hashOf(grantId)));
    },
  });
}

const hashOf = (id: string) => createHash('sha256').update(id).digest();

function payloadOf({ payload, consumed_at }: StoredRecord): AdapterPayload {
  const parsed = JSON.parse(payload) as AdapterPayload;
  return consumed_at ? { ...parsed, consumed: Math.floor(consumed_at.getTime() / 1000) } : parsed;
}

/** An interaction notes the id of the browser's session, and nobody reads it. */
function withoutCookie(payload: AdapterPayload): AdapterPayload {
  const { session, ...rest } = payload as AdapterPayload & { session?: Record<string, unknown> };
  if (!session) return rest;
  const { cookie: _, ...kept } = session;
  return { ...rest, session: kept } as AdapterPayload;
}
