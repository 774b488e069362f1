import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { z } from 'zod';
import { createLogger } from '../telemetry/logger';
import { ConfigError, readConfig } from './read-config';
import { secretText } from './secret';

const schema = z.object({
  STAR_HTTP_PORT: z.coerce.number().int().min(0).max(65_535).default(8080),
  STAR_POSTGRES_URL: z.url(),
  STAR_TOKEN_SECRET: secretText(8),
});
const good = { STAR_POSTGRES_URL: 'postgres://h/star', STAR_TOKEN_SECRET: 'very secret' };

const problemsOf = (env: Record<string, string>) => {
  try {
    readConfig(schema, env);
    return [];
  } catch (error) {
    return (error as ConfigError).problems.map((problem) => problem.split(':')[0]);
  }
};

test('settings are typed, and empty ones count as absent', () => {
  const config = readConfig(schema, { ...good, STAR_HTTP_PORT: '' });
  expect([config.STAR_HTTP_PORT, config.STAR_POSTGRES_URL, config.STAR_TOKEN_SECRET.reveal()]).toEqual([
    8080,
    'postgres://h/star',
    'very secret',
  ]);
});

test('all problems are told at once, without any value', () => {
  expect(problemsOf({ STAR_HTTP_PORT: '99999', STAR_POSTGRES_URL: 'nowhere' })).toEqual([
    'STAR_HTTP_PORT',
    'STAR_POSTGRES_URL',
    'STAR_TOKEN_SECRET',
  ]);
  const secret = { ...good, STAR_TOKEN_SECRET: 'hush' };
  expect(() => readConfig(schema, secret)).toThrow(ConfigError);
  expect(() => readConfig(schema, secret)).not.toThrow(/hush/);
});

test('unknown names are warned about, with the likely one; others are not ours', () => {
  const warnings: string[] = [];
  readConfig(
    schema,
    { ...good, STAR_HTP_PORT: '1', STAR_MIZAR: 'x', PATH: '/bin' },
    { alsoKnown: ['STAR_MIZAR'], warn: (text) => warnings.push(text) },
  );
  expect(warnings).toEqual(['unknown setting STAR_HTP_PORT; did you mean STAR_HTTP_PORT?']);
});

test('a secret may come from a mounted file, but not from two places', () => {
  const folder = mkdtempSync(join(tmpdir(), 'star-config-'));
  try {
    const path = join(folder, 'secret');
    writeFileSync(path, 'from a file\n');
    const { STAR_TOKEN_SECRET: _, ...rest } = good;
    expect(readConfig(schema, { ...rest, STAR_TOKEN_SECRET_FILE: path }).STAR_TOKEN_SECRET.reveal()).toBe('from a file');
    expect(problemsOf({ ...good, STAR_TOKEN_SECRET_FILE: path })).toEqual(['STAR_TOKEN_SECRET_FILE']);
    expect(problemsOf({ ...rest, STAR_TOKEN_SECRET_FILE: `${path}.missing` })).toEqual(['STAR_TOKEN_SECRET_FILE']);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a secret shows itself in no print, log or JSON', () => {
  const config = readConfig(schema, good);
  const lines: string[] = [];
  const log = createLogger({ service: 'test', destination: { write: (line) => void lines.push(line) } });
  log.info({ config, request: { headers: { authorization: 'Bearer abc' } }, password: 'hunter2' }, 'started');
  const shown = `${inspect(config)} ${JSON.stringify(config)} ${config.STAR_TOKEN_SECRET} ${lines.join()}`;
  expect(shown).not.toMatch(/very secret|abc|hunter2/);
  expect(JSON.parse(lines[0]!)).toMatchObject({ level: 'info', service: 'test', msg: 'started' });
});
