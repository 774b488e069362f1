import { SecretBox } from '@star/platform';
import { auditLogIn, checkPassword, forgetTries, type Refusal, tried } from './check-password';
import type { IdentityDeps } from './deps';
import { checkNewPassword, hashPassword, verifyPassword } from './password';
import { activeUser } from './realm';
import { enrol, newTotpSecret, stepOf, useSecondFactor } from './second-factor';
import { databaseNow, type UserRow, updatePassword } from './users.store';

/** How far a log-in has come; kept by the provider beside the log-in, never by the browser. */
export interface Progress {
  readonly userId?: string;
  /** When the password was right, ms: what was changed since then starts the log-in again. */
  readonly sinceMs?: number;
  /** The second factor was shown, or none is asked for. */
  readonly second?: boolean;
  /** Of the authenticator being enrolled, sealed for the user's id. */
  readonly secret?: string;
}

export type Step = 'password' | 'code' | 'enrol' | 'new-password' | 'done';
export type StepError = Refusal | { readonly why: 'both' | 'wrong-code' | 'differ' | 'refused-password' | 'same-password' };

export interface Position {
  readonly step: Step;
  readonly progress: Progress;
  readonly user?: UserRow;
  /** To be shown while enrolling, in base32. */
  readonly secret?: string;
}

export interface Outcome {
  readonly progress: Progress;
  readonly error?: StepError;
  /** Told once, after enrolling. */
  readonly recoveryCodes?: readonly string[];
}

/** The steps of a log-in: password, second factor (shown or enrolled), a new password in place of a temporary one. */
export function createLogInSteps(deps: IdentityDeps) {
  const box = new SecretBox(deps.secret);

  /** Where a log-in stands, by what is known of the user now. */
  const positionOf = async (progress: Progress): Promise<Position> => {
    const user = progress.userId === undefined ? undefined : await activeUser(deps, progress.userId);
    if (!user || user.credentials_changed_at.getTime() > (progress.sinceMs ?? 0)) return { step: 'password', progress: {} };
    if (!progress.second && user.enrolled) return { step: 'code', progress, user };
    if (!progress.second && user.second_factor_required) {
      const secret = progress.secret === undefined ? newTotpSecret() : openSecret(progress.secret, user.id);
      return { step: 'enrol', progress: { ...progress, secret: sealSecret(secret, user.id) }, user, secret };
    }
    return { step: user.temporary_password ? 'new-password' : 'done', progress, user };
  };
  const sealSecret = (secret: string, userId: string) => box.seal(secret, `enrol ${userId}`).toString('base64url');
  const openSecret = (sealed: string, userId: string) => box.open(Buffer.from(sealed, 'base64url'), `enrol ${userId}`);
  // The database's clock writes when credentials were changed, so it also says when they were found right.
  const databaseNowMs = () => deps.database.system('log in', databaseNow);

  const steps: Record<Exclude<Step, 'done'>, (at: Position, form: Readonly<Record<string, string>>) => Promise<Outcome>> = {
    password: async ({ progress }, form) => {
      const { username = '', password = '' } = form;
      if (username === '' || password === '') return { progress, error: { why: 'both' } };
      if (username.length > 128 || password.length > 256) return { progress, error: { why: 'wrong' } };
      const sinceMs = await databaseNowMs();
      const user = await checkPassword(deps, { username, password });
      return 'why' in user ? { progress, error: user } : { progress: { userId: user.id, sinceMs } };
    },
    code: async ({ progress, user }, form) => {
      if (!user) return { progress: {} };
      const refusal = await tried(deps, user.username, () =>
        deps.database.system('log in', (tx) => useSecondFactor(tx, box, user, form.otp ?? '', deps.now())),
      );
      if (!refusal) return { progress: { ...progress, second: true } };
      await auditLogIn(deps, user, 'session.refused', { secondFactor: true });
      return { progress, error: refusal.why === 'wrong' ? { why: 'wrong-code' } : refusal };
    },
    enrol: async ({ progress, user, secret }, form) => {
      if (!user || secret === undefined) return { progress: {} };
      const step = stepOf(secret, form.totp ?? '', deps.now());
      if (step === undefined) return { progress, error: { why: 'wrong-code' } };
      const recoveryCodes = await deps.database.system('log in', (tx) => enrol(tx, box, user, secret, step));
      // Enrolled elsewhere meanwhile: the next step asks for that one.
      if (!recoveryCodes) return { progress: { ...progress, secret: undefined } };
      return { progress: { ...progress, second: true, secret: undefined }, recoveryCodes };
    },
    'new-password': async ({ progress, user }, form) => {
      if (!user) return { progress: {} };
      const wanted = form['password-new'] ?? '';
      if (wanted !== form['password-confirm']) return { progress, error: { why: 'differ' } };
      try {
        checkNewPassword(wanted);
      } catch {
        return { progress, error: { why: 'refused-password' } };
      }
      if (await verifyPassword(wanted, user.password_hash)) return { progress, error: { why: 'same-password' } };
      const passwordHash = await hashPassword(wanted);
      await deps.database.tenant(user.tenant_id, async (tx) => {
        await updatePassword(tx, user.id, passwordHash, false);
        const entry = { tenantId: user.tenant_id, userId: user.id, username: user.username, subject: user.id };
        await deps.audit(tx, { ...entry, action: 'user.password_changed' });
      });
      return { progress: { ...progress, sinceMs: await databaseNowMs() } };
    },
  };
  return {
    positionOf,
    advance: (at: Position, form: Readonly<Record<string, string>>): Promise<Outcome> =>
      at.step === 'done' ? Promise.resolve({ progress: at.progress }) : steps[at.step](at, form),
    /** Told when a log-in is whole. */
    finished: async (user: UserRow, client: string): Promise<void> => {
      await forgetTries(deps, user.username);
      await auditLogIn(deps, user, 'session.opened', { client });
    },
  };
}

export type LogInSteps = ReturnType<typeof createLogInSteps>;
