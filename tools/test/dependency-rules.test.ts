/** The rules of who may import whom, held against every source file. */

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';

const root = join(__dirname, '..', '..');

function sources(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    if (['node_modules', 'dist', 'gen', 'test', 'bench', 'migrations'].includes(name)) return [];
    const path = join(folder, name);
    if (statSync(path).isDirectory()) return sources(path);
    return path.endsWith('.ts') && !path.endsWith('.test.ts') ? [path] : [];
  });
}

const services = ['identity', 'tenants', 'devices', 'search', 'gateway', 'billing'];
const agents = ['merak', 'alioth', 'mizar', 'dubhe'];

/** Workspace packages each folder may import; anything else of the workspace is a way back or sideways. */
const allowed: Record<string, string[]> = {
  proto: [],
  'cloud/platform': ['@stardipper/proto'],
  'cloud/star': ['@stardipper/proto', '@star/platform', ...services.map((s) => `@star/${s}`)],
  'edge/platform': ['@stardipper/proto'],
  'edge/dipper': ['@stardipper/proto', '@dipper/platform', ...agents.map((a) => `@dipper/${a}`)],
  'edge/camsim': ['@stardipper/proto', '@dipper/platform'],
  ...Object.fromEntries(services.map((s) => [`cloud/${s}`, ['@stardipper/proto', '@star/platform']])),
  ...Object.fromEntries(agents.map((a) => [`edge/${a}`, ['@stardipper/proto', '@dipper/platform']])),
};

const files = ['proto/src', ...['cloud', 'edge'].flatMap((side) => readdirSync(join(root, side)).map((name) => `${side}/${name}/src`))]
  .filter((folder) => statSync(join(root, folder), { throwIfNoEntry: false }))
  .flatMap((folder) => sources(join(root, folder)))
  .map((path) => ({ path: relative(root, path), text: readFileSync(path, 'utf8') }));

const projectOf = (path: string): string => (path.startsWith('proto/') ? 'proto' : path.split('/').slice(0, 2).join('/'));
const importsOf = (text: string): string[] =>
  [...text.matchAll(/(?:from\s+|import\s+|import\(|require\()'([^']+)'/g)].map((m) => m[1] as string);
const offenders = (broken: (file: { path: string; text: string }) => boolean) => files.filter(broken).map((f) => f.path);

test('projects import only what stands below them', () => {
  const broken = files.flatMap(({ path, text }) =>
    importsOf(text)
      .filter((name) => /^@(star|dipper|stardipper)\//.test(name))
      .map((name) => name.split('/').slice(0, 2).join('/'))
      .filter((name) => !allowed[projectOf(path)]?.includes(name))
      .map((name) => `${path} imports ${name}`),
  );
  expect(broken).toEqual([]);
});

test('no import leaves its own project by a relative path', () => {
  const broken = files.flatMap(({ path, text }) =>
    importsOf(text)
      .filter((name) => name.startsWith('.'))
      .filter((name) => projectOf(join(path, '..', name)) !== projectOf(path))
      .map((name) => `${path} imports ${name}`),
  );
  expect(broken).toEqual([]);
});

test('Nest stays in modules, controllers, consumers, guards, platform/nest and star', () => {
  expect(
    offenders(
      ({ path, text }) =>
        importsOf(text).some((name) => name.startsWith('@nestjs/')) &&
        !/\.(module|controller|consumer|guard)\.ts$/.test(path) &&
        !path.startsWith('cloud/platform/src/nest/') &&
        !path.startsWith('cloud/star/'),
    ),
  ).toEqual([]);
});

test('process.env is read only where a program starts', () => {
  expect(
    offenders(({ path, text }) => /process\.env\b/.test(text) && !/(^|[-/])main\.ts$/.test(path) && !path.includes('/test-kit/')),
  ).toEqual([]);
});

test('SQL lives in stores, reads, the bus, platform/postgres and migrations', () => {
  const sql = /[`'"]\s*(SELECT\s+[\w*"(]|INSERT INTO\s|UPDATE\s+\w+(\.\w+)?\s+SET\s|DELETE FROM\s)/;
  const home = /\.(store|read)\.ts$|^cloud\/platform\/src\/(postgres|bus|analytics|test-kit)\/|\/migrations\//;
  expect(offenders(({ path, text }) => sql.test(text) && !home.test(path))).toEqual([]);
});

test('files keep to a size a reader can hold', () => {
  expect(offenders(({ text }) => text.split('\n').length > 420)).toEqual([]);
});
