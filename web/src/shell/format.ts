import { i18n } from '../i18n';

const locale = () => (i18n.locale === 'zh' ? 'zh-CN' : 'en-GB');

/** Date and time in the reader's zone. */
export const formatTime = (iso: string): string => new Date(iso).toLocaleString(locale(), { dateStyle: 'medium', timeStyle: 'medium' });
export const formatClock = (ms: number): string => new Date(ms).toLocaleTimeString(locale(), { hour12: false });

export function formatSeconds(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 90) return `${whole} s`;
  if (whole < 5400) return `${Math.round(whole / 60)} min`;
  return `${(whole / 3600).toFixed(1)} h`;
}

/** A failure's code in words, or the code itself. */
export function reason(code: string): string {
  const key = `errors.${code.replaceAll('.', '_')}`;
  return i18n.te(key) || i18n.te(key, 'en') ? (i18n.t(key) as string) : code;
}
