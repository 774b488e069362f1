import { type PolicyRow, policy } from '@stardipper/proto';
import { sources } from './sources.ts';
import { code } from './table.ts';

const verbs = 'Get|Post|Put|Patch|Delete';

/** Every route of the controllers: verb and path, what it asks for, what it takes and answers. */
export function routes(root: string): string[][] {
  return sources(root, 'cloud/*/src/**/*.controller.ts')
    .flatMap(({ project, text }) => text.split(/^(?=@Controller\()/m).flatMap((part) => routesOf(project, part)))
    .sort(([a = ''], [b = '']) => pathOf(a).localeCompare(pathOf(b)) || a.localeCompare(b));
}

const pathOf = (cell: string) => cell.slice(cell.indexOf('/'), -1);
const access = new Map((Object.values(policy) as (readonly PolicyRow[])[]).flat().map((row) => [`${row.method} ${row.path}`, row.access]));

function routesOf(project: string, text: string): string[][] {
  const base = /^@Controller\('([^']*)'\)/.exec(text)?.[1];
  if (!base?.startsWith('api/v1')) return [];
  const [, ...methods] = text.split(new RegExp(`^(?=  @(?:${verbs})\\()`, 'm'));
  return methods.map((method) => {
    const [, verb = '', path = ''] = new RegExp(`^  @(${verbs})\\((?:'([^']*)')?\\)`).exec(method) ?? [];
    const body = /@ZodBody\(([\w.]+)\)/.exec(method)?.[1] ?? '';
    const answer = /@ZodAnswer\((.*)\)$/m.exec(method)?.[1]?.replace(/, (20\d)$/, '') ?? '';
    const route = `${verb.toUpperCase()} ${['', base, path].filter((each, at) => at === 0 || each !== '').join('/')}`;
    return [code(route), access.get(route) ?? '', body && code(named(body)), answer && code(named(answer)), project];
  });
}

const named = (expression: string) => expression.replaceAll('api.', '').replace('searchAnswer', 'search');
