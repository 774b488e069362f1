import type { IncomingMessage, ServerResponse } from 'node:http';
import { errors, type Provider } from 'oidc-provider';
import type { IdentityDeps } from './deps';
import { createLogInSteps, type Position, type Progress, type StepError } from './log-in-steps';
import { codeForm, enrolForm, logInForm, newPasswordForm, notice, recoveryCodes } from './pages/forms';
import { type Html, sendPage } from './pages/page';
import { languageOf, type Words, wordsOf } from './pages/words';
import { readForm, redirect } from './raw-http';
import { enrolmentUri } from './second-factor';

/** The pages of a log-in under way, at `<realm>/log-in/<uid>`: each shows the step it has come to and takes its form. */
export function createLogInPages(deps: IdentityDeps, provider: Provider) {
  const steps = createLogInSteps(deps);
  const home = deps.redirectUris[0];

  const expired = (request: IncomingMessage, response: ServerResponse) => {
    const language = languageOf(undefined, request.headers['accept-language']);
    const words = wordsOf(language);
    const body = notice(words.endedTitle, words.ended, home === undefined ? undefined : { to: home, text: words.console });
    sendPage(response, { language, title: words.endedTitle, body, status: 400 });
  };

  return async (request: IncomingMessage, response: ServerResponse, action: string): Promise<void> => {
    const interaction = await provider.interactionDetails(request, response).catch((error: unknown) => {
      if (error instanceof errors.SessionNotFound) return undefined;
      throw error;
    });
    // The cookie names the log-in of this browser; the address must be the same one's.
    if (!interaction || !action.endsWith(`/${interaction.uid}`)) return expired(request, response);
    const language = languageOf(interaction.params.ui_locales, request.headers['accept-language']);
    const redirectUri = String(interaction.params.redirect_uri);
    const show = (body: (words: Words) => Html, status = 200) =>
      sendPage(response, {
        language,
        title: wordsOf(language).logIn,
        body: body(wordsOf(language)),
        status,
        formTargets: [new URL(redirectUri).origin],
      });
    const keep = (progress: Progress) =>
      provider.interactionResult(request, response, { progress: { ...progress } }, { mergeWithLastSubmission: false });
    const finish = async (at: Position) => {
      if (!at.user) return expired(request, response);
      await steps.finished(at.user, String(interaction.params.client_id));
      const amr = at.progress.second ? ['pwd', 'otp'] : ['pwd'];
      // Not remembered: the cookie ends with the browser, the session after a working day.
      const login = { accountId: at.user.id, amr, remember: false };
      await provider.interactionFinished(request, response, { login }, { mergeWithLastSubmission: false });
    };

    const at = await steps.positionOf((interaction.result?.progress as Progress | undefined) ?? {});
    if (request.method !== 'POST') {
      if (at.step === 'done') return finish(at);
      if (at.step === 'enrol') await keep(at.progress);
      return show((words) => formOf(at, words, action, String(interaction.params.login_hint ?? '')));
    }
    const form = (await readForm(request)) ?? {};
    const { progress, error, recoveryCodes: codes } = await steps.advance(at, form);
    await keep(progress);
    if (codes) return show((words) => recoveryCodes(words, action, codes));
    if (error) return show((words) => formOf(at, words, action, form.username ?? '', textOf(error, words)), 400);
    const next = await steps.positionOf(progress);
    return next.step === 'done' ? finish(next) : redirect(response, action);
  };
}

function formOf(at: Position, words: Words, action: string, username: string, error?: string): Html {
  switch (at.step) {
    case 'code':
      return codeForm(words, action, error);
    case 'enrol': {
      const secret = at.secret ?? '';
      return enrolForm(words, action, { secret, uri: enrolmentUri(secret, at.user?.username ?? '') }, error);
    }
    case 'new-password':
      return newPasswordForm(words, action, at.user?.username ?? '', error);
    default:
      return logInForm(words, action, username.slice(0, 128), error);
  }
}

/** A refusal in the reader's words. */
export function textOf(error: StepError, words: Words): string {
  switch (error.why) {
    case 'locked':
      return words.locked.replace('{seconds}', String(error.retryAfterS));
    case 'both':
      return words.both;
    case 'wrong':
      return words.wrong;
    case 'wrong-code':
      return words.wrongCode;
    case 'differ':
      return words.differ;
    case 'refused-password':
      return words.refusedPassword;
    default:
      return words.samePassword;
  }
}
