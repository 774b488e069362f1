import { i18n, named } from '../i18n';
import { expectedLength } from './length';

const locale = () => (i18n.locale === 'zh' ? 'zh-CN' : 'en-GB');
const dayMs = 86_400_000;

/** Date and time in the reader's zone. */
export const formatTime = (iso: string): string => new Date(iso).toLocaleString(locale(), { dateStyle: 'medium', timeStyle: 'medium' });
export const formatClock = (ms: number): string => new Date(ms).toLocaleTimeString(locale(), { hour12: false });

/** A range in the reader's zone; the day is said once when both ends lie in it. */
export const formatRange = (from: string, to: string): string =>
  new Intl.DateTimeFormat(locale(), { dateStyle: 'medium', timeStyle: 'medium' }).formatRange(new Date(from), new Date(to));

/** A moment inside something `lengthMs` long: the clock alone, or with its day where the clock alone would be ambiguous. */
export function formatMoment(ms: number, lengthMs: number): string {
  if (lengthMs < dayMs / 2) return formatClock(ms);
  const day = new Date(ms).toLocaleDateString(locale(), { month: 'short', day: 'numeric' });
  return `${day} ${new Date(ms).toLocaleTimeString(locale(), { hour: '2-digit', minute: '2-digit', hour12: false })}`;
}

export const formatCount = (n: number): string => n.toLocaleString(locale());
export const formatMegabytes = (bytes: number): string =>
  (bytes / 1e6).toLocaleString(locale(), { maximumFractionDigits: bytes < 1e8 ? 1 : 0 });
export const formatHours = (hours: number): string =>
  hours.toLocaleString(locale(), { minimumFractionDigits: 2, maximumFractionDigits: 2 });
/** An amount as decimal text in its currency's own sign. */
export const formatMoney = (amount: string, currency: string): string =>
  new Intl.NumberFormat(locale(), { style: 'currency', currency, currencyDisplay: 'narrowSymbol' }).format(Number(amount));

/** A length in its two largest units, to the whole second. */
export function formatSeconds(seconds: number): string {
  const whole = Math.round(seconds);
  const parts: [string, number][] = [
    ['hours', Math.floor(whole / 3600)],
    ['minutes', Math.floor(whole / 60) % 60],
    ['seconds', whole % 60],
  ];
  const first = parts.findIndex(([, n]) => n > 0);
  if (first < 0) return i18n.t('units.seconds', { n: 0 }) as string;
  const said = parts.slice(first, first + 2).filter(([, n]) => n > 0);
  return said.map(([unit, n]) => i18n.t(`units.${unit}`, { n: formatCount(n) })).join(' ');
}

/** A length that is only expected: never more exact than it is known. */
export function formatExpected(seconds: number): string {
  const said = expectedLength(seconds);
  return i18n.t(said === 0 ? 'units.few' : 'units.about', { length: formatSeconds(said) }) as string;
}

/** The reader's time zone by name and offset, so that nobody has to guess whose clock is shown. */
export function zone(): string {
  const offset = new Intl.DateTimeFormat('en', { timeZoneName: 'shortOffset' }).formatToParts().find((p) => p.type === 'timeZoneName');
  return `${Intl.DateTimeFormat().resolvedOptions().timeZone} (${offset?.value ?? 'GMT'})`;
}

/** A failure's code in words; a code without words is shown as one, so that support can look it up. */
export function reason(code: string, params: Record<string, unknown> = {}): string {
  const key = `errors.${code.replaceAll('.', '_')}`;
  return i18n.te(key) || i18n.te(key, 'en')
    ? (i18n.t(key, named(params)) as string)
    : (i18n.t('errors.unknown_reason', { code }) as string);
}

/** The same in a word or two, where many are counted. */
export function shortReason(code: string): string {
  const key = `people.pack.reasons.${code.replaceAll('.', '_')}`;
  return i18n.te(key) ? (i18n.t(key) as string) : reason(code);
}
