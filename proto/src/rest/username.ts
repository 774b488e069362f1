const form = /^[\p{L}\p{N}._@-]{1,64}$/u;
const latin = /\p{Script=Latin}/u;
/** Of these many letters look like Latin ones. */
const alike = /[\p{Script=Cyrillic}\p{Script=Greek}\p{Script=Armenian}\p{Script=Cherokee}\p{Script=Coptic}\p{Script=Lisu}]/u;

/**
 * Whether a new user may have this name: 1 to 64 letters, digits and `._@-`, none of them full-width or otherwise another
 * form of a plain one (NFKC), and no scripts mixed that look alike. Or else one name is drawn as somebody else's is.
 */
export const isUsername = (text: string): boolean =>
  form.test(text) && text.normalize('NFKC') === text && !(latin.test(text) && alike.test(text));
