import type { Feature, Me } from '@stardipper/proto';
import { featureMissing, holdsOn, opens, type Permission, type RouteName } from '@stardipper/proto/rules';
import { defineStore } from 'pinia';
import { request, useTokens } from '../api/client';
import { i18n } from '../i18n';
import { beginLogIn, cameBack, finishLogIn, leave, renewTokens, SessionEnded, type Tokens } from './oidc';

/** Kept for this tab only; the provider's cookie, which ends with the browser, lets other tabs in without a password. */
const storageKey = 'star.session';
/** Renewed this long before its end, so that no request meets the end on its way. */
const earlyMs = 60_000;

const read = (): Tokens | null => JSON.parse(sessionStorage.getItem(storageKey) ?? 'null') as Tokens | null;

let renewing: Promise<boolean> | undefined;
let timer = 0;

export const useSession = defineStore('session', {
  // `ended`: Star no longer takes the session, as opposed to the reader having logged out.
  state: () => ({ tokens: read(), user: null as Me | null, ended: false, trouble: '' as '' | 'unreachable' | 'refused' }),
  getters: {
    isOpen: (state): boolean => state.tokens !== null && state.user !== null,
    /** Only hides what would be refused: Star decides. */
    may:
      ({ user }): ((permission: Permission) => boolean) =>
      (permission) =>
        user?.permissions.includes(permission) ?? false,
    /** Whether the route is open to the reader, be it for some areas only. */
    mayCall:
      ({ user }): ((route: RouteName) => boolean) =>
      (route) =>
        user !== null && opens(user, route),
    /** What the tenant is without that the route needs. */
    featureMissing:
      ({ user }): ((route: RouteName) => Feature | undefined) =>
      (route) =>
        user === null ? undefined : featureMissing(user.features, route),
    /** Whether there is any sense in offering it. */
    canCall(): (route: RouteName) => boolean {
      return (route) => this.mayCall(route) && this.featureMissing(route) === undefined;
    },
    /** `line`: the ids of the area and of all above it. */
    mayOn:
      ({ user }): ((permission: Permission, line: readonly string[]) => boolean) =>
      (permission, line) =>
        user !== null && holdsOn(user, permission, line),
  },
  actions: {
    /** Before the first page: comes back from the provider, or goes on where this tab was. Answers where the reader wanted to go. */
    async start(): Promise<string | undefined> {
      useTokens({ current: () => this.tokens?.access ?? '', renew: () => this.renew() });
      const returned = cameBack();
      try {
        const finished = returned ? await finishLogIn() : undefined;
        if (finished) this.take(finished.tokens);
        if (this.tokens && this.tokens.endsAtMs - Date.now() < earlyMs) await this.renew();
        if (this.tokens) this.user = await request<Me>('GET', '/me');
        // Whoever is sent away again at once would come back at once, for ever.
        else if (returned) this.trouble = 'refused';
        this.schedule();
        return finished?.next;
      } catch (error) {
        this.user = null;
        this.trouble = error instanceof TypeError || this.tokens ? 'unreachable' : 'refused';
        return undefined;
      }
    },
    know(user: Me) {
      this.user = user;
    },
    take(tokens: Tokens) {
      sessionStorage.setItem(storageKey, JSON.stringify(tokens));
      this.tokens = tokens;
      this.ended = false;
    },
    /** Once for all who wait. False when the session is over; true also when Star could not be asked: it may be at the next try. */
    renew(): Promise<boolean> {
      renewing ??= this.renewNow().finally(() => {
        renewing = undefined;
      });
      return renewing;
    },
    async renewNow(): Promise<boolean> {
      if (!this.tokens) return false;
      try {
        this.take(await renewTokens(this.tokens.refresh));
        // Roles may have been given or taken away; without an answer what was known stays.
        if (this.user)
          void request<Me>('GET', '/me')
            .then((user) => this.isOpen && this.know(user))
            .catch(() => undefined);
        return true;
      } catch (error) {
        if (!(error instanceof SessionEnded)) return true;
        this.forget(true);
        return false;
      } finally {
        this.schedule();
      }
    },
    schedule() {
      window.clearTimeout(timer);
      if (!this.tokens) return;
      const inMs = Math.max(5000, this.tokens.endsAtMs - Date.now() - earlyMs);
      timer = window.setTimeout(() => void this.renew(), inMs);
    },
    forget(ended: boolean) {
      window.clearTimeout(timer);
      sessionStorage.removeItem(storageKey);
      this.ended = ended;
      this.tokens = null;
      this.user = null;
    },
    logIn: (next: string) => beginLogIn(next, i18n.locale),
    async logOut() {
      const idToken = this.tokens?.id;
      this.forget(false);
      if (idToken) await leave(idToken);
    },
  },
});
