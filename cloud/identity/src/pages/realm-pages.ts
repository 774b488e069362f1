import { errors, type KoaContextWithOIDC } from 'oidc-provider';
import type { IdentityDeps } from '../deps';
import { notice } from './forms';
import { drawPage, Html, html, type PageOptions } from './page';
import { type Language, languageOf, wordsOf } from './words';

/** The pages that the provider itself asks for: logging out, having logged out, and what did not work. */
export function realmPages(deps: Pick<IdentityDeps, 'redirectUris'>) {
  const answer = (ctx: KoaContextWithOIDC, options: PageOptions) => {
    const { headers, text } = drawPage(options);
    ctx.set(headers);
    ctx.body = text;
  };
  const language = (ctx: KoaContextWithOIDC): Language => languageOf(ctx.oidc?.params?.ui_locales, ctx.get('accept-language'));
  const home = (language: Language) => {
    const [to] = deps.redirectUris;
    return to ? { to, text: wordsOf(language).console } : undefined;
  };
  return {
    /** Who comes from the console with its id token meant it: a script presses the button, which is there without scripts. */
    logOut: (ctx: KoaContextWithOIDC, form: string): void => {
      const words = wordsOf(language(ctx));
      const meant = ctx.oidc.entities.IdTokenHint !== undefined;
      const [, action = '', xsrf = ''] = /action="([^"]*)".*name="xsrf" value="([^"]*)"/.exec(form) ?? [];
      answer(ctx, {
        language: language(ctx),
        title: words.logOut,
        formTargets: deps.redirectUris.map((uri) => new URL(uri).origin),
        body: html`<h2>${words.logOutTitle}</h2>
<form id="log-out" method="post" action="${new Html(action)}"><input type="hidden" name="xsrf" value="${new Html(xsrf)}"><input type="hidden" name="logout" value="yes">
<button type="submit">${words.logOut}</button></form>`,
        ...(meant ? { script: "document.getElementById('log-out').submit()" } : {}),
      });
    },
    loggedOut: (ctx: KoaContextWithOIDC): void => {
      const words = wordsOf(language(ctx));
      answer(ctx, { language: language(ctx), title: words.logOut, body: notice(words.logOut, words.loggedOut, home(language(ctx))) });
    },
    /** Codes of the standard are shown, descriptions are not: they are for whoever wrote the client. */
    failed: (ctx: KoaContextWithOIDC, out: { readonly error: string }, error: Error): void => {
      const words = wordsOf(language(ctx));
      const expired = error instanceof errors.SessionNotFound;
      const body = expired
        ? notice(words.endedTitle, words.ended, home(language(ctx)))
        : html`${notice(words.errorTitle, words.error, home(language(ctx)))}<code>${out.error}</code>`;
      answer(ctx, { language: language(ctx), title: expired ? words.endedTitle : words.errorTitle, body });
    },
  };
}
