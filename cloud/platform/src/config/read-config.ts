import { readFileSync } from 'node:fs';
import type { z } from 'zod';

/** A start with wrong settings: every one of them, each with what is wrong; no values. */
export class ConfigError extends Error {
  constructor(readonly problems: readonly string[]) {
    super(`${problems.length} wrong setting(s):\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
    this.name = 'ConfigError';
  }
}

export interface ReadConfigOptions {
  /** Names other parts of the same process read: not to be warned about. */
  readonly alsoKnown?: readonly string[];
  readonly warn?: (message: string) => void;
}

const prefix = 'STAR_';

/**
 * Reads settings named `STAR_…` by a schema with those names as keys. `NAME_FILE` gives the path of a file whose
 * content, without the last line break, is the value (mounted secrets). Empty counts as absent, because that is what a
 * chart or compose file leaves behind. Throws one ConfigError with all problems; unknown `STAR_…` names only warn, so
 * that a release can be rolled back under newer settings.
 */
export function readConfig<S extends z.ZodObject>(
  schema: S,
  env: Readonly<Record<string, string | undefined>>,
  options: ReadConfigOptions = {},
): z.output<S> {
  const names = Object.keys(schema.shape);
  const problems: string[] = [];
  const values: Record<string, string> = {};
  for (const name of names) {
    const value = settingOf(name, env, problems);
    if (value !== undefined) values[name] = value;
  }
  const known = new Set([...names, ...(options.alsoKnown ?? [])].flatMap((name) => [name, `${name}_FILE`]));
  for (const name of Object.keys(env).sort()) {
    if (name.startsWith(prefix) && !known.has(name)) options.warn?.(`unknown setting ${name}${hint(name, names)}`);
  }
  const parsed = schema.safeParse(values);
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      const name = String(issue.path[0] ?? 'settings');
      if (!problems.some((problem) => problem.startsWith(`${name}_FILE:`))) {
        // What a schema says by itself of an absent value is about types.
        problems.push(`${name}: ${values[name] === undefined && issue.code !== 'custom' ? 'missing' : issue.message}`);
      }
    }
  }
  if (problems.length > 0 || !parsed.success) throw new ConfigError(problems);
  return parsed.data;
}

function settingOf(name: string, env: Readonly<Record<string, string | undefined>>, problems: string[]): string | undefined {
  const direct = env[name] || undefined;
  const path = env[`${name}_FILE`] || undefined;
  if (direct !== undefined && path !== undefined) problems.push(`${name}_FILE: given together with ${name}`);
  if (direct !== undefined || path === undefined) return direct;
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    problems.push(`${name}_FILE: cannot be read (${(error as NodeJS.ErrnoException).code ?? 'error'})`);
    return undefined;
  }
}

/** The likely name for a mistyped one: same letters but for one or two. */
function hint(name: string, names: readonly string[]): string {
  const near = names.find((candidate) => distanceUpTo2(name, candidate));
  return near ? `; did you mean ${near}?` : '';
}

function distanceUpTo2(a: string, b: string): boolean {
  if (Math.abs(a.length - b.length) > 2) return false;
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]! <= 2;
}
