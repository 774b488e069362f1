/** What Kong 3.9 documents of the entities used here, field by field; and that the file is the policy table, no more and no less. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { policy } from '@stardipper/proto';
import { z } from 'zod';
import { renderKong } from '../docs/kong.ts';

const timeoutMs = z.int().min(1).max(2_147_483_646);
const plugin = z.discriminatedUnion('name', [
  z.strictObject({
    name: z.literal('jwt'),
    config: z.strictObject({
      key_claim_name: z.string(),
      claims_to_verify: z.array(z.enum(['exp', 'nbf'])),
      header_names: z.array(z.string()),
      uri_param_names: z.array(z.string()),
      run_on_preflight: z.boolean(),
    }),
  }),
  z.strictObject({
    name: z.literal('rate-limiting'),
    config: z
      .strictObject({
        minute: z.number().gt(0),
        // `cluster` needs a database, which DB-less Kong has not.
        policy: z.enum(['local', 'redis']),
        limit_by: z.enum(['consumer', 'credential', 'ip', 'service', 'header', 'path']),
        header_name: z.string().optional(),
        fault_tolerant: z.boolean(),
        hide_client_headers: z.boolean(),
      })
      .refine((config) => (config.limit_by === 'header') === (config.header_name !== undefined)),
  }),
  z.strictObject({
    name: z.literal('request-size-limiting'),
    config: z.strictObject({
      allowed_payload_size: z.int().positive(),
      size_unit: z.enum(['bytes', 'kilobytes', 'megabytes']),
      require_content_length: z.boolean(),
    }),
  }),
  z.strictObject({
    name: z.literal('request-transformer'),
    config: z.strictObject({ remove: z.strictObject({ headers: z.array(z.string().regex(/^[a-z-]+$/)) }) }),
  }),
]);
const route = z.strictObject({
  name: z.string().regex(/^[\w.~-]+$/),
  methods: z.array(z.enum(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'])),
  paths: z.array(z.string().startsWith('~/')),
  headers: z.record(z.string(), z.array(z.string())).optional(),
  strip_path: z.literal(false),
  request_buffering: z.boolean(),
  response_buffering: z.boolean(),
  plugins: z.array(plugin),
});
const file = z.strictObject({
  _format_version: z.literal('3.0'),
  services: z.array(
    z.strictObject({
      name: z.string().regex(/^[\w.~-]+$/),
      url: z.url(),
      retries: z.int().min(0).max(32_767),
      connect_timeout: timeoutMs,
      write_timeout: timeoutMs,
      read_timeout: timeoutMs,
      routes: z.array(route).min(1),
    }),
  ),
  consumers: z.array(
    z.strictObject({
      username: z.string(),
      jwt_secrets: z.array(
        z.strictObject({
          key: z.string(),
          algorithm: z.enum(['ES256', 'RS256']),
          rsa_public_key: z.string().startsWith('-----BEGIN PUBLIC KEY'),
        }),
      ),
    }),
  ),
  plugins: z.array(plugin),
});

const made = file.parse(JSON.parse(renderKong()));
const routes = made.services.flatMap((service) => service.routes.map((each) => ({ ...each, service: service.name })));
/** As Kong matches: the path anchored at its beginning, the method, and the headers with their regular expressions. */
const matching = (method: string, path: string, headers: Record<string, string> = {}) => {
  const all = routes.filter(
    (each) =>
      (each.methods as string[]).includes(method) &&
      each.paths.some((pattern) => new RegExp(`^${pattern.slice(1)}`).test(path)) &&
      Object.entries(each.headers ?? {}).every(([name, [pattern = '']]) => new RegExp(pattern.slice(2), 'i').test(headers[name] ?? '')),
  );
  const most = Math.max(...all.map((each) => Object.keys(each.headers ?? {}).length));
  return all.filter((each) => Object.keys(each.headers ?? {}).length === most);
};

test('docs/reference/kong.json says what the code says; `npm run docs` writes it', () => {
  expect(readFileSync(join(__dirname, '..', '..', 'docs', 'reference', 'kong.json'), 'utf8')).toBe(renderKong());
});

test('every route of the policy table leads to its service, with a token checked where one is asked for', () => {
  for (const service of ['tenants', 'devices', 'search'] as const) {
    for (const { method, path, access } of policy[service]) {
      const found = matching(method, path.replace(/:\w+/g, '0b9e7c1a-0000-4000-8000-000000000001'));
      expect([path, found.length]).toEqual([path, 1]);
      expect(found[0]?.service.replace(/-\d+s$/, '')).toBe(service);
      const plugins = found[0]?.plugins.map((each) => each.name) ?? [];
      expect([path, plugins.includes('jwt')]).toEqual([path, access !== 'public']);
      expect(plugins).toEqual(expect.arrayContaining(['rate-limiting', 'request-size-limiting']));
    }
  }
  expect(new Set(routes.map((each) => each.name)).size).toBe(routes.length);
});

test('an API key takes the route without Kong’s token check, by either header', () => {
  const both: Record<string, string>[] = [{ 'x-api-key': 'sdk_abc' }, { authorization: 'Bearer sdk_abc' }];
  for (const headers of both) {
    const [found] = matching('GET', '/api/v1/people', headers);
    expect(found?.plugins.map((each) => each.name).sort()).toEqual(['rate-limiting', 'request-size-limiting']);
  }
});

test('what the table does not name, and what is for probes, leads nowhere', () => {
  for (const path of ['/healthz', '/metrics', '/readyz', '/api/v1/people/1/2', '/api/v1/peoples', '/x/api/v1/people', '/api/v1'])
    expect([path, matching('GET', path)]).toEqual([path, []]);
});
