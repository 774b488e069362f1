import elementEn from 'element-ui/lib/locale/lang/en';
import elementZh from 'element-ui/lib/locale/lang/zh-CN';
import Vue from 'vue';
import VueI18n from 'vue-i18n';
import { ApiError } from '../api/client';
import { en } from './en';
import { zh } from './zh';

Vue.use(VueI18n);

const storageKey = 'star.language';
type Language = 'zh' | 'en';

const first = (): Language => {
  const stored = localStorage.getItem(storageKey);
  if (stored === 'zh' || stored === 'en') return stored;
  return navigator.language.toLowerCase().startsWith('zh') ? 'zh' : 'en';
};

export const i18n = new VueI18n({
  locale: first(),
  fallbackLocale: 'en',
  messages: { en: { ...elementEn, ...en }, zh: { ...elementZh, ...zh } },
  silentFallbackWarn: true,
});
document.documentElement.lang = i18n.locale === 'zh' ? 'zh-CN' : 'en';

export function setLanguage(language: Language): void {
  i18n.locale = language;
  localStorage.setItem(storageKey, language);
  document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
}

/** What a limit is of, which Star tells by name. */
export function named(params: Record<string, unknown>): Record<string, unknown> {
  const key = `settings.limit.${params.what}`;
  return i18n.te(key) ? { ...params, what: i18n.t(key) } : params;
}

/**
 * An error in the reader's language, by its code; an unknown code is shown itself, so that support can look it up.
 * `more`: what the text names beyond Star's parameters.
 */
export function explain(error: unknown, more: Record<string, unknown> = {}): string {
  if (!(error instanceof ApiError)) return i18n.t('errors.unknown', { code: String(error) }) as string;
  const { code, params, errors } = error.problem;
  const field = errors?.[0];
  const key = `errors.${code.replaceAll('.', '_')}`;
  const text =
    i18n.te(key) || i18n.te(key, 'en')
      ? (i18n.t(key, { ...named(params), ...more }) as string)
      : (i18n.t('errors.unknown', { code }) as string);
  const name = field?.pointer.split('/')[1] ?? '';
  // A field without a name here is the console's own fault: the reader has nowhere to look for it.
  return i18n.te(`fields.${name}`, 'en') ? `${text} ${i18n.t('errors.at', { field: i18n.t(`fields.${name}`) })}` : text;
}
