import type { IncomingMessage, ServerResponse } from 'node:http';
import { SecretBox, type Tx } from '@star/platform';
import type { Provider } from 'oidc-provider';
import { forgetTries, tried } from './check-password';
import type { IdentityDeps } from './deps';
import { endSessionsOf } from './end-sessions';
import { textOf } from './log-in-pages';
import type { StepError } from './log-in-steps';
import { accountPage } from './pages/account';
import { enrolForm, notice, recoveryCodes } from './pages/forms';
import { type Html, html, sendPage } from './pages/page';
import { languageOf, wordsOf } from './pages/words';
import { checkNewPassword, hashPassword, verifyPassword } from './password';
import { readForm, redirect } from './raw-http';
import { activeUser } from './realm';
import { enrol, enrolmentUri, newTotpSecret, renewRecoveryCodes, stepOf } from './second-factor';
import { countRecoveryCodes, removeAuthenticator, replaceRecoveryCodes } from './second-factor.store';
import { type UserRow, updatePassword } from './users.store';

type Form = Readonly<Record<string, string>>;
/** What an action leads to: another page, or the account again with an error or good news. */
type Answer =
  | { readonly page: Html }
  | { readonly error: StepError; readonly at: string }
  | { readonly done: true }
  | { readonly left: true };

/**
 * My account, at `<realm>/account` as a Keycloak has it: password, second factor, log-out everywhere, for whoever has a
 * session in this browser. What could be turned against a user who left the browser open asks for the password again.
 */
export function createAccountPages(deps: IdentityDeps, provider: Provider) {
  const box = new SecretBox(deps.secret);
  const home = deps.redirectUris[0];

  const userOf = async (request: IncomingMessage, response: ServerResponse): Promise<UserRow | undefined> => {
    const session = await provider.Session.get(provider.createContext(request, response));
    return session.accountId === undefined ? undefined : activeUser(deps, session.accountId);
  };
  const audited = (user: UserRow, action: string, work: (tx: Tx) => Promise<unknown>) =>
    deps.database.tenant(user.tenant_id, async (tx) => {
      await work(tx);
      await deps.audit(tx, { tenantId: user.tenant_id, userId: user.id, username: user.username, subject: user.id, action });
    });
  const endingTokens = async (user: UserRow, action: string, work: (tx: Tx) => Promise<unknown>) => {
    await audited(user, action, async (tx) => {
      await work(tx);
      await deps.endTokens.within(tx, user.tenant_id, user.id);
    });
    await deps.endTokens.announce(user.tenant_id, user.id);
  };
  /** The password that is there now, counted like a log-in. */
  const confirmed = async (user: UserRow, form: Form): Promise<StepError | undefined> => {
    const refusal = await tried(deps, user.username, () => verifyPassword(form.password ?? '', user.password_hash));
    if (!refusal) await forgetTries(deps, user.username);
    return refusal;
  };

  const changePassword = async (user: UserRow, form: Form): Promise<StepError | undefined> => {
    const wanted = form['password-new'] ?? '';
    if (wanted !== form['password-confirm']) return { why: 'differ' };
    try {
      checkNewPassword(wanted);
    } catch {
      return { why: 'refused-password' };
    }
    const refusal = await confirmed(user, form);
    if (refusal) return refusal;
    if (await verifyPassword(wanted, user.password_hash)) return { why: 'same-password' };
    const passwordHash = await hashPassword(wanted);
    await endingTokens(user, 'user.password_changed', async (tx) => {
      await endSessionsOf(tx, user.id);
      await updatePassword(tx, user.id, passwordHash, false);
    });
    return undefined;
  };

  return async (request: IncomingMessage, response: ServerResponse, action: string): Promise<void> => {
    const language = languageOf(new URL(request.url ?? '', deps.issuer).searchParams.get('ui_locales'), request.headers['accept-language']);
    const words = wordsOf(language);
    const toConsole = home === undefined ? undefined : { to: home, text: words.console };
    const show = (body: Html, status = 200) => sendPage(response, { language, title: words.account, body, status });
    const user = await userOf(request, response);
    if (!user) return show(notice(words.endedTitle, words.ended, toConsole), 401);

    const actions: Record<string, (form: Form) => Promise<Answer>> = {
      password: async (form) => {
        const error = await changePassword(user, form);
        // The session of this browser has ended as well.
        return error ? { error, at: 'password' } : { page: notice(words.changePassword, words.passwordChanged, toConsole) };
      },
      'enrol-begin': async (form) => {
        const error = await confirmed(user, form);
        if (error) return { error, at: 'second' };
        return { page: enrolPage(newTotpSecret()) };
      },
      enrol: async (form) => {
        const secret = opened(box, form.sealed ?? '', user);
        if (secret === undefined) return { done: true };
        const step = stepOf(secret, form.totp ?? '', deps.now());
        if (step === undefined) return { page: enrolPage(secret, words.wrongCode) };
        let codes: string[] | undefined;
        await audited(user, 'user.second_factor_enrolled', async (tx) => {
          codes = await enrol(tx, box, user, secret, step);
        });
        return codes ? { page: recoveryCodes(words, action, codes) } : { done: true };
      },
      remove: async (form) => {
        const error = user.second_factor_required ? ({ why: 'wrong' } as const) : await confirmed(user, form);
        if (error) return { error, at: 'second' };
        await audited(user, 'user.second_factor_removed', async (tx) => {
          await removeAuthenticator(tx, user.id);
          await replaceRecoveryCodes(tx, user.tenant_id, user.id, []);
        });
        return { done: true };
      },
      renew: async (form) => {
        const error = user.enrolled ? await confirmed(user, form) : ({ why: 'wrong' } as const);
        if (error) return { error, at: 'second' };
        let codes: string[] = [];
        await audited(user, 'user.recovery_codes_renewed', async (tx) => {
          codes = await renewRecoveryCodes(tx, user);
        });
        return { page: recoveryCodes(words, action, codes) };
      },
      everywhere: async () => {
        await endingTokens(user, 'user.sessions_ended', (tx) => endSessionsOf(tx, user.id));
        return { left: true };
      },
    };
    const enrolPage = (secret: string, error?: string) => {
      const sealed = box.seal(secret, `account ${user.id}`).toString('base64url');
      const hidden = html`<input type="hidden" name="do" value="enrol"><input type="hidden" name="sealed" value="${sealed}">`;
      return enrolForm(words, action, { secret, uri: enrolmentUri(secret, user.username) }, error, hidden);
    };
    const overview = async (error?: { readonly at: string; readonly text: string }) => {
      const codesLeft = await deps.database.system('log in', (tx) => countRecoveryCodes(tx, user.id));
      return accountPage(words, action, { user, codesLeft, ...(error ? { error } : {}), ...(toConsole ? { toConsole } : {}) });
    };

    if (request.method !== 'POST') return show(await overview());
    // SameSite keeps other sites away; this keeps neighbours of the same site away, too.
    const from = request.headers['sec-fetch-site'];
    const form = from === undefined || from === 'same-origin' ? await readForm(request) : undefined;
    const act = form && Object.hasOwn(actions, form.do ?? '') ? actions[form.do ?? ''] : undefined;
    if (!form || !act) return show(await overview(), 400);
    const answer = await act(form);
    if ('page' in answer) return show(answer.page);
    if ('left' in answer) return show(notice(words.logOut, words.loggedOut, toConsole));
    if ('error' in answer) return show(await overview({ at: answer.at, text: textOf(answer.error, words) }), 400);
    redirect(response, action);
  };
}

/** The secret this page gave out; undefined when it was somebody else's or is rubbish. */
function opened(box: SecretBox, sealed: string, user: UserRow): string | undefined {
  try {
    return box.open(Buffer.from(sealed, 'base64url'), `account ${user.id}`);
  } catch {
    return undefined;
  }
}
