/** Writes docs/reference/names.md from the code: every name that another program may depend on. Run by `npm run docs`. */

import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { commandOwners, deviceMethods, maxPayloadBytes, objectKeys, recorderAttributePrefix, reportKeys, topics } from '@stardipper/proto';

/** HTTP status by kind of error, as cloud/platform maps them. */
const statusOf: Record<string, number> = {
  invalid: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  gone: 410,
  too_large: 413,
  unprocessable: 422,
  limited: 429,
  unavailable: 503,
  timeout: 504,
  internal: 500,
};

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [`| ${head.join(' | ')} |`, `|${' --- |'.repeat(head.length)}`, ...rows.map((row) => `| ${row.join(' | ')} |`)].join('\n');
const code = (text: string): string => `\`${text}\``;

function sources(root: string, side: string): { project: string; text: string }[] {
  return globSync(`${side}/*/src/**/*.ts`, { cwd: root })
    .filter((path) => !path.endsWith('.test.ts'))
    .sort()
    .map((path) => ({ project: path.split('/').slice(0, 2).join('/'), text: readFileSync(join(root, path), 'utf8') }));
}

/** Codes by project, from the registries as they stand in the source: `'edge.not_found': 'not_found'`. */
function cloudErrors(root: string): string[][] {
  const rows = new Map<string, string[]>();
  for (const { project, text } of sources(root, 'cloud')) {
    for (const [, registry] of text.matchAll(/defineErrors\(\{([^}]*)\}\)/g)) {
      for (const [, name, kind] of (registry as string).matchAll(/'([a-z_.]+)':\s*'([a-z_]+)'/g)) {
        rows.set(name as string, [code(name as string), String(statusOf[kind as string]), kind as string, project]);
      }
    }
  }
  return [...rows.values()].sort(([a = ''], [b = '']) => a.localeCompare(b));
}

/** `new AgentError('task.expired', 'conflict', …)` and the like. */
function edgeErrors(root: string): string[][] {
  const rows = new Map<string, string[]>();
  for (const { project, text } of sources(root, 'edge')) {
    for (const [, name, kind] of text.matchAll(
      /'([a-z]+\.[a-z_]+)',\s*'(invalid|not_found|conflict|limited|unprocessable|unavailable|timeout|internal|unauthenticated|forbidden)'/g,
    )) {
      rows.set(`${name} ${project}`, [code(name as string), kind as string, project]);
    }
  }
  return [...rows.values()].sort(([a = '', , c = ''], [b = '', , d = '']) => a.localeCompare(b) || c.localeCompare(d));
}

function services(root: string): string[][] {
  return globSync('proto/{dipper,star}/**/*.proto', { cwd: root })
    .sort()
    .flatMap((path) => {
      const text = readFileSync(join(root, path), 'utf8');
      const packageName = /^package (\S+);/m.exec(text)?.[1] ?? '';
      return [...text.matchAll(/^service (\w+) \{([\s\S]*?)^\}/gm)].map(([, name, body]) => [
        code(`${packageName}.${name}`),
        [...(body as string).matchAll(/rpc (\w+)/g)].map(([, method]) => code(method as string)).join(', '),
        code(relative(root, join(root, path))),
      ]);
    });
}

/** The whole page. */
export function renderNames(root: string): string {
  return `# Names

Written by \`npm run docs\` from the code; do not edit. What stands here is what other programs depend on: a name is never given another meaning.

## Topics of the bus
Keyed by tenant and subject; each record is one message of \`proto/events/v1/events.proto\`.

${table(
  ['topic', 'message'],
  Object.keys(topics)
    .sort()
    .map((topic) => [
      code(topic),
      code(topic.replace(/\.v\d+$/, '').replace(/(^|\.)(\w)/g, (_, __, letter: string) => letter.toUpperCase())),
    ]),
)}

## RPC over MQTT
Parameters and replies are JSON of at most ${maxPayloadBytes.toLocaleString('en')} bytes; their schemas are in \`proto/src/rpc.ts\`.

${table(
  ['method', 'direction', 'answered by'],
  [
    ...Object.entries(commandOwners).map(([method, owner]) => [code(method), 'Star to box', owner]),
    ...deviceMethods.map((method) => [code(method), 'box to Star', 'devices']),
  ],
)}

## Telemetry and attributes
${table(
  ['name', 'what'],
  [
    ...Object.entries(reportKeys).map(([what, key]) => [code(key), `telemetry: durable report, ${what} (\`proto/src/reports.ts\`)`]),
    [
      code(`${recorderAttributePrefix}<recorderId>`),
      'shared attribute: one recorder and how to reach it (`recorderConfig` in `proto/src/rpc.ts`)',
    ],
  ],
)}

## Object keys
${table(
  ['what', 'key'],
  Object.entries(objectKeys).map(([what, key]) => [
    what,
    code(
      (key as (...ids: string[]) => string)(
        '{tenantId}',
        what === 'crop' ? '{edgeId}' : what === 'photo' ? '{personId}' : '{searchId}',
        what === 'crop' ? '{sightingId}' : '{photoId}',
      ),
    ),
  ]),
)}

## gRPC services
${table(['service', 'methods', 'file'], services(root))}

## Error codes of Star
In \`application/problem+json\` as \`code\`, with typed \`params\`.

${table(['code', 'HTTP', 'kind', 'declared in'], cloudErrors(root))}

## Error codes of Dipper
In RPC replies, task reports and as reasons in the coverage.

${table(['code', 'kind', 'declared in'], edgeErrors(root))}
`;
}

if (process.argv[1] === import.meta.filename) {
  writeFileSync(join(process.cwd(), 'docs', 'reference', 'names.md'), renderNames(process.cwd()));
}
