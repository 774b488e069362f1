import type { Session } from '@stardipper/proto';
import { defineStore } from 'pinia';
import { type Permission, permissionsOf } from '../../../proto/src/policy/permissions';
import { request, useToken } from '../api/client';

/** Kept for this tab only, so that closing it logs out. */
const storageKey = 'star.session';

const read = (): Session | null => {
  const text = sessionStorage.getItem(storageKey);
  const session = text ? (JSON.parse(text) as Session) : null;
  return session && Date.parse(session.expiresAt) > Date.now() ? session : null;
};

export const useSession = defineStore('session', {
  // `ended`: Star no longer takes the session, as opposed to the reader having logged out.
  state: () => ({ session: read(), ended: false }),
  getters: {
    isOpen: (state): boolean => state.session !== null,
    user: (state): Session['user'] | undefined => state.session?.user,
    /** Only hides what would be refused: Star decides. */
    may: (state): ((permission: Permission) => boolean) => {
      const held = permissionsOf(state.session?.user.roles ?? []);
      return (permission) => held.has(permission);
    },
  },
  actions: {
    restore() {
      if (this.session) useToken(this.session.token, () => this.close(true));
    },
    async open(username: string, password: string) {
      const session = await request<Session>('POST', '/session', { username, password });
      sessionStorage.setItem(storageKey, JSON.stringify(session));
      this.session = session;
      this.ended = false;
      this.restore();
    },
    close(ended = false) {
      sessionStorage.removeItem(storageKey);
      this.ended = ended;
      this.session = null;
      useToken('', () => undefined);
    },
  },
});
