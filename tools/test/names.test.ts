import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { renderNames } from '../docs/names.ts';

const root = join(__dirname, '..', '..');

test('docs/reference/names.md says what the code says; `npm run docs` writes it', () => {
  expect(readFileSync(join(root, 'docs', 'reference', 'names.md'), 'utf8')).toBe(renderNames(root));
});

test('the console has words for every code that a person may be shown, in both languages', () => {
  const known = (language: string) =>
    new Set(
      [...readFileSync(join(root, 'web', 'src', 'i18n', `errors.${language}.ts`), 'utf8').matchAll(/^ {2}(\w+):/gm)].map((m) => m[1]),
    );
  expect([...known('zh')].sort()).toEqual([...known('en')].sort());
  const shown = [...renderNames(root).matchAll(/^\| `((?:person|photo|session|api_key|search|recorder|segment)\.[a-z_]+)`/gm)].map((m) =>
    (m[1] as string).replaceAll('.', '_'),
  );
  // A cursor and a repeated key are the program's affair, and a name is refused where it is typed.
  const programs = /cursor_invalid|idempotency_key|name_taken|time_zone/;
  expect(shown.filter((code) => !known('en').has(code) && !programs.test(code))).toEqual([]);
});
