import { renderSVG } from 'uqr';
import { alert, Html, html } from './page';
import type { Words } from './words';

/** Field names are Keycloak's, so that one test drives the pages of both. */
export const logInForm = (words: Words, action: string, username: string, error?: string): Html => html`
<p class="quiet">${words.hint}</p>
<form method="post" action="${action}">${alert(error)}
<label for="username">${words.username}</label>
<input type="text" id="username" name="username" value="${username}" autocomplete="username" autocapitalize="none" spellcheck="false" maxlength="128" ${username === '' ? new Html('autofocus') : undefined}>
<label for="password">${words.password}</label>
<input type="password" id="password" name="password" autocomplete="current-password" maxlength="256" ${username === '' ? undefined : new Html('autofocus')}>
<button type="submit">${words.logIn}</button></form>`;

export const codeForm = (words: Words, action: string, error?: string): Html => html`
<h2>${words.secondFactor}</h2><p class="quiet">${words.codeHint}</p>
<form method="post" action="${action}">${alert(error)}
<label for="otp">${words.code}</label>
<input type="text" id="otp" name="otp" autocomplete="one-time-code" autocapitalize="none" spellcheck="false" maxlength="32" autofocus>
<button type="submit">${words.goOn}</button></form>`;

/** Shows the secret as QR and as text; `hidden` goes along with the code. */
export const enrolForm = (
  words: Words,
  action: string,
  shown: { readonly secret: string; readonly uri: string },
  error?: string,
  hidden?: Html,
): Html => html`
<h2>${words.enrolTitle}</h2><p class="quiet">${words.enrolHint}</p>
<div role="img" aria-label="${words.qr}">${new Html(renderSVG(shown.uri, { border: 2 }))}</div>
<p>${words.enrolKey}<code id="kc-totp-secret-key">${(shown.secret.match(/.{1,4}/g) ?? []).join(' ')}</code></p>
<form method="post" action="${action}">${hidden}${alert(error)}
<label for="totp">${words.code}</label>
<input type="text" id="totp" name="totp" inputmode="numeric" autocomplete="one-time-code" maxlength="10" autofocus>
<button type="submit">${words.goOn}</button></form>`;

export const recoveryCodes = (words: Words, action: string, codes: readonly string[], method: 'get' | 'post' = 'get'): Html => html`
<h2>${words.recoveryTitle}</h2><p class="quiet">${words.recoveryHint}</p>
<ul class="codes">${codes.map((code) => html`<li>${code}</li>`)}</ul>
<form method="${method}" action="${action}"><button type="submit">${words.goOn}</button></form>`;

export const newPasswordForm = (words: Words, action: string, username: string, error?: string): Html => html`
<h2>${words.newPasswordTitle}</h2><p class="quiet">${words.newPasswordHint}</p>
<form method="post" action="${action}">${alert(error)}
<input type="text" name="username" value="${username}" autocomplete="username" readonly hidden>
<label for="password-new">${words.newPassword}</label>
<input type="password" id="password-new" name="password-new" autocomplete="new-password" maxlength="256" autofocus>
<label for="password-confirm">${words.again}</label>
<input type="password" id="password-confirm" name="password-confirm" autocomplete="new-password" maxlength="256">
<button type="submit">${words.goOn}</button></form>`;

export const notice = (title: string, text: string, link?: { readonly to: string; readonly text: string }): Html =>
  html`<h2>${title}</h2><p>${text}</p>${link && html`<p><a href="${link.to}">${link.text}</a></p>`}`;
