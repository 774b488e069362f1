import type { Session } from '@stardipper/proto';
import { defineStore } from 'pinia';
import { request, useToken } from '../api/client';

/** Kept for this tab only, so that closing it logs out. */
const storageKey = 'star.session';

const read = (): Session | null => {
  const text = sessionStorage.getItem(storageKey);
  const session = text ? (JSON.parse(text) as Session) : null;
  return session && Date.parse(session.expiresAt) > Date.now() ? session : null;
};

export const useSession = defineStore('session', {
  state: () => ({ session: read() }),
  getters: {
    isOpen: (state): boolean => state.session !== null,
    user: (state): Session['user'] | undefined => state.session?.user,
  },
  actions: {
    restore() {
      if (this.session) useToken(this.session.token, () => this.close());
    },
    async open(username: string, password: string) {
      const session = await request<Session>('POST', '/session', { username, password });
      sessionStorage.setItem(storageKey, JSON.stringify(session));
      this.session = session;
      this.restore();
    },
    close() {
      sessionStorage.removeItem(storageKey);
      this.session = null;
      useToken('', () => undefined);
    },
  },
});
