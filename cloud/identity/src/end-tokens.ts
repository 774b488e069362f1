import { createHash } from 'node:crypto';
import type { Cache, Database, EndTokens, IsTokenGood } from '@star/platform';
import { findTokenEnd, writeTokenEnd } from './token-ends.store';

interface Deps {
  readonly database: Database;
  readonly cache: Cache;
}

/** A token that was ended is taken no longer than this, even where nobody hears of it. */
const believedMs = 30_000;

/** A fixed length of the cache's letters, whatever a provider calls its users. */
const keyOf = (userId: string) => `token-end:${createHash('sha256').update(userId).digest('base64url')}`;

/** For whoever changes a user: what her tokens say is no longer so. */
export const endTokens = ({ cache }: Pick<Deps, 'cache'>): EndTokens => ({
  within: async (tx, tenantId, userId) => void (await writeTokenEnd(tx, tenantId, userId)),
  announce: (tenantId, userId) => cache.invalidate(tenantId, keyOf(userId)),
});

/**
 * For verifiers: false for a token whose user has had her tokens ended since it was issued. In memory as a rule; one
 * indexed query when the cache does not know.
 */
export const isTokenGood = ({ database, cache }: Deps): IsTokenGood => {
  const endOf = (tenantId: string, userId: string) =>
    cache.get(tenantId, keyOf(userId), believedMs, async () => {
      const end = await database.tenant(tenantId, (tx) => findTokenEnd(tx, userId));
      return end ? { mark: end.mark, atMs: end.ended_at.getTime() } : null;
    });
  return async ({ caller, issuedAtS, mark }) => {
    const end = await endOf(caller.tenantId, caller.userId);
    if (!end) return true;
    if (mark !== undefined) return mark === end.mark;
    // Tokens tell whole seconds: one of the same second may be older.
    return issuedAtS > Math.floor(end.atMs / 1000);
  };
};
