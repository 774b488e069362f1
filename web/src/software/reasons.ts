import { i18n } from '../i18n';
import { reason } from '../shell/format';

function said(where: string, code: string, params: Record<string, unknown>): string {
  const key = `software.${where}.${code.replaceAll('.', '_')}`;
  return i18n.te(key) || i18n.te(key, 'en') ? (i18n.t(key, params) as string) : reason(code, params);
}

/** Why Star cannot use a package. Most codes are those of boxes, but here they speak of the file. */
export const reasonHere = (code: string, params: Record<string, unknown>): string => said('reasons', code, params);

/** Why a box could not install a package. */
export const reasonOfBox = (code: string): string => said('boxReasons', code, {});
