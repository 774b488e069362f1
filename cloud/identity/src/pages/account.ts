import type { UserRow } from '../users.store';
import { alert, type Html, html } from './page';
import type { Words } from './words';

export interface AccountShown {
  readonly user: Pick<UserRow, 'username' | 'display_name' | 'enrolled' | 'second_factor_required'>;
  readonly codesLeft: number;
  readonly error?: { readonly at: string; readonly text: string };
  readonly toConsole?: { readonly to: string; readonly text: string };
}

/** Password, second factor and sessions of one user. */
export function accountPage(words: Words, action: string, { user, codesLeft, error, toConsole }: AccountShown): Html {
  const errorAt = (place: string) => alert(error?.at === place ? error.text : undefined);
  const password = (id: string) => html`<label for="${id}">${words.present}</label>
<input type="password" id="${id}" name="password" autocomplete="current-password" maxlength="256">`;
  const second = user.enrolled
    ? html`<p class="quiet">${words.on.replace('{count}', String(codesLeft))}</p>
<form method="post" action="${action}">${errorAt('second')}${password('present-second')}
<button type="submit" name="do" value="renew">${words.renew}</button>
${user.second_factor_required ? html`<p class="quiet">${words.required}</p>` : html`<button type="submit" class="plain" name="do" value="remove">${words.remove}</button>`}</form>`
    : html`<p class="quiet">${words.off}</p>
<form method="post" action="${action}">${errorAt('second')}${password('present-second')}
<button type="submit" name="do" value="enrol-begin">${words.setUp}</button></form>`;
  return html`<p class="quiet">${user.display_name} (${user.username})</p>${toConsole && html`<p><a href="${toConsole.to}">${toConsole.text}</a></p>`}
<h2>${words.changePassword}</h2>
<form method="post" action="${action}"><input type="hidden" name="do" value="password">${errorAt('password')}${password('present-password')}
<label for="password-new">${words.newPassword}</label><input type="password" id="password-new" name="password-new" autocomplete="new-password" maxlength="256">
<label for="password-confirm">${words.again}</label><input type="password" id="password-confirm" name="password-confirm" autocomplete="new-password" maxlength="256">
<button type="submit">${words.changePassword}</button></form>
<h2>${words.secondFactor}</h2>${second}
<h2>${words.sessions}</h2><p class="quiet">${words.everywhereHint}</p>
<form method="post" action="${action}"><button type="submit" class="plain" name="do" value="everywhere">${words.everywhere}</button></form>`;
}
