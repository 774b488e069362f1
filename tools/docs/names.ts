/** Writes docs/reference/names.md from the code: every name that another program may depend on. Run by `npm run docs`. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as proto from '@stardipper/proto';
import { fieldsOf } from './fields.ts';
import { routes } from './routes.ts';
import { sources } from './sources.ts';
import { code, table } from './table.ts';

const read = (root: string, path: string) => readFileSync(join(root, path), 'utf8');
/** All first groups; none is a name that moved, and a page that silently lost a section. */
function found(text: string, pattern: RegExp, where: string): string[][] {
  const all = [...text.matchAll(pattern)].map((match) => match.slice(1) as string[]);
  if (all.length === 0) throw new Error(`${where} no longer looks as tools/docs expects`);
  return all;
}

/** HTTP status by kind of error. */
const statuses = (root: string): Map<string, string> =>
  new Map(
    found(read(root, 'cloud/platform/src/errors/app-error.ts'), /^ {2}(\w+): \{ status: (\d+)/gm, 'app-error.ts').map(
      ([kind = '', status = '']) => [kind, status],
    ),
  );

const camel = (name: string) => name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());

/** What publishers write as the key of each topic. */
function topicKeys(root: string): Map<string, string> {
  const all = sources(root, 'cloud/*/src/**/*.ts').map(({ text }) => text);
  const named = new Map(
    all.flatMap((text) =>
      [...text.matchAll(/const (\w+) = \([^)]*\): string => `([^`]*)`/g)].map(([, name = '', body = '']) => [name, body]),
    ),
  );
  const keys = all.flatMap((text) =>
    [...text.matchAll(/topic: '([\w.]+)'(?: as const)?,\s+key: (`[^`]*`|[^,(]+)/g)].map(([, topic = '', key = '']) => {
      const template = named.get(key) ?? (key.startsWith('`') ? key.slice(1, -1) : `\${${key}}`);
      return [
        topic,
        template
          .replace(/\$\{(?:search\.id)\}/g, '{searchId}')
          .replace(/\$\{(?:edge\.id|rpc\.edgeId)\}/g, '{edgeId}')
          .replaceAll('${', '{'),
      ] as const;
    }),
  );
  return new Map(keys);
}

function topicRows(root: string): string[][] {
  const events = read(root, 'proto/events/v1/events.proto');
  const keys = topicKeys(root);
  return Object.keys(proto.topics)
    .sort()
    .map((topic) => {
      const message = topic.replace(/\.v\d+$/, '').replace(/(^|\.)(\w)/g, (_, __, letter: string) => letter.toUpperCase());
      const body = found(events, new RegExp(`^message ${message} \\{([^}]*)\\}`, 'gm'), `the message of ${topic}`)[0]?.[0] ?? '';
      const fields = [...body.matchAll(/(\w+) = \d+;/g)].map(([, name = '']) => camel(name));
      return [code(topic), code(keys.get(topic) ?? 'none yet'), code(message), fields.map(code).join(' ')];
    });
}

const schemas = proto as unknown as Record<string, Parameters<typeof fieldsOf>[0]>;
const shape = (name: string) => (schemas[name] ? code(fieldsOf(schemas[name])) : "ThingsBoard's");

const rpcRows = (): string[][] => [
  ...Object.entries(proto.commandOwners).map(([method, owner]) => [
    code(method),
    'Star to box',
    owner,
    shape(`${method}Params`),
    shape(`${method}Reply`),
  ]),
  ...proto.deviceMethods.map((method) => [code(method), 'box to Star', 'devices', shape(`${method}Params`), shape(`${method}Reply`)]),
];

function valueRows(root: string): string[][] {
  const client =
    found(read(root, 'edge/dubhe/src/report-health.ts'), /const attributes = \{([\s\S]*?)\n {4}\};/g, 'report-health.ts')[0]?.[0] ?? '';
  return [
    ...Object.entries(proto.reportKeys).map(([what, key]) => [
      code(key),
      'telemetry',
      `durable report: ${what}`,
      schemas[key] ? shape(key) : 'as `GetHealth` and `GetStats` answer',
    ]),
    [code(`${proto.recorderAttributePrefix}<recorderId>`), 'shared attribute', 'one recorder and how to reach it', shape('recorderConfig')],
    [code('sw_*'), 'shared attribute', 'the package of software the box is to have', shape('softwareAttributes')],
    [code('sw_state'), 'telemetry', 'how far the box is with it', shape('softwareTelemetry')],
    ...[...client.matchAll(/(\w+):/g)].map(([, key = '']) => [code(key), 'client attribute', 'what the box runs', '']),
  ];
}

/** The parameters of each key's function are the names of its parts. */
const objectRows = (): string[][] =>
  Object.entries(proto.objectKeys).map(([what, key]) => {
    const names = /^\(([^)]*)\)/.exec(String(key))?.[1]?.match(/\w+/g) ?? [];
    return [what, code((key as (...parts: string[]) => string)(...names.map((name) => `{${name}}`)))];
  });

const services = (root: string): string[][] =>
  sources(root, 'proto/{dipper,star}/**/*.proto').flatMap(({ path, text }) => {
    const packageName = /^package (\S+);/m.exec(text)?.[1] ?? '';
    return [...text.matchAll(/^service (\w+) \{([\s\S]*?)^\}/gm)].map(([, name, body]) => [
      code(`${packageName}.${name}`),
      [...(body as string).matchAll(/rpc (\w+)/g)].map(([, method]) => code(method as string)).join(', '),
      code(path),
    ]);
  });

const byCode = (rows: Map<string, string[]>) =>
  [...rows.values()].sort((a, b) => (a[0] ?? '').localeCompare(b[0] ?? '') || (a.at(-1) ?? '').localeCompare(b.at(-1) ?? ''));

/** From the registries as they stand in the source, and the few that stand for what the framework refuses. */
function cloudErrors(root: string): string[][] {
  const status = statuses(root);
  const rows = new Map<string, string[]>();
  const problem = read(root, 'cloud/platform/src/errors/problem.ts');
  for (const [http = '', name = ''] of found(problem, /^ {2}(\d{3}): '([\w.]+)'/gm, 'problem.ts'))
    rows.set(name, [code(name), http, '', 'cloud/platform']);
  rows.set('internal', [code('internal'), '500', 'internal', 'cloud/platform']);
  for (const { project, text } of sources(root, 'cloud/*/src/**/*.ts')) {
    for (const [, registry = ''] of text.matchAll(/defineErrors\(\{([^}]*)\}\)/g)) {
      for (const [, name = '', kind = ''] of registry.matchAll(/'([a-z_.]+)':\s*'([a-z_]+)'/g)) {
        rows.set(name, [code(name), status.get(kind) ?? '', kind, project]);
      }
    }
  }
  for (const { project, text } of sources(root, 'cloud/devices/src/**/*.ts')) {
    for (const [, name = ''] of text.matchAll(/error: (?:\{ code: )?'([a-z_.]+)'/g))
      if (!rows.has(name)) rows.set(name, [code(name), '', 'in the reply of an RPC only', project]);
  }
  return byCode(rows);
}

/** `new AgentError('task.expired', 'conflict', …)`, Alioth's registry, and what Dubhe answers for a command it cannot carry. */
function edgeErrors(root: string): string[][] {
  const kinds = found(read(root, 'edge/platform/src/agent-error.ts'), /^ {2}(\w+): \{ grpc/gm, 'agent-error.ts').join('|');
  const rows = new Map<string, string[]>();
  for (const { project, text } of sources(root, 'edge/*/src/**/*.ts')) {
    for (const [, name = '', kind = ''] of text.matchAll(new RegExp(`'([a-z]+\\.[a-z_]+)'[,:]\\s*'(${kinds})'`, 'g')))
      rows.set(`${name} ${project}`, [code(name), kind, project]);
    for (const [, name = ''] of text.matchAll(/refusal\('([a-z_.]+)'/g)) rows.set(`${name} ${project}`, [code(name), '', project]);
  }
  return byCode(rows);
}

/** Of the ledger, beside the codes of the box. */
function reasons(root: string): string[][] {
  const rows = new Map<string, string[]>();
  const merak = found(read(root, 'edge/merak/src/merak.errors.ts'), /reasons = \{([^}]*)\}/g, 'merak.errors.ts')[0]?.[0] ?? '';
  for (const [, name = ''] of merak.matchAll(/'([\w.]+)'/g)) rows.set(name, [code(name), 'edge/merak']);
  for (const { text } of sources(root, 'cloud/search/src/**/*.ts')) {
    for (const [, name = ''] of text.matchAll(/'((?:rpc|task)_[a-z_]+|not_given|not_reported)'/g))
      rows.set(name, [code(name), 'cloud/search']);
  }
  return byCode(rows);
}

/** The whole page. */
export function renderNames(root: string): string {
  return `# Names

Written by \`npm run docs\` from the code; do not edit. What stands here is what other programs depend on: a name is never given another meaning.

## Topics of the bus
Each record is one message of \`proto/events/v1/events.proto\`; tenant, id, time and trace travel in the headers. Records with the same key keep their order.

${table(['topic', 'key', 'message', 'fields'], topicRows(root))}

## RPC over MQTT
JSON of at most ${proto.maxPayloadBytes.toLocaleString('en')} bytes; limits of the fields are in \`proto/src/rpc.ts\`. Times are Unix milliseconds, UTC.

${table(['method', 'direction', 'answered by', 'params', 'reply'], rpcRows())}

## Telemetry and attributes
${table(['key', 'kind', 'what', 'value'], valueRows(root))}

## Object keys
${table(['what', 'key'], objectRows())}

## gRPC services
${table(['service', 'methods', 'file'], services(root))}

## REST
Schemas are in \`proto/src/rest/\`; a running Star describes itself at \`/api/openapi.json\`. A caller needs the permission; which role holds which is in \`proto/src/policy/permissions.ts\`.

${table(['route', 'permission', 'takes', 'answers', 'of'], routes(root))}

## Error codes of Star
In \`application/problem+json\` as \`code\`, with typed \`params\`.

${table(['code', 'HTTP', 'kind', 'declared in'], cloudErrors(root))}

## Error codes of Dipper
In RPC replies, task reports and as reasons in the coverage.

${table(['code', 'kind', 'declared in'], edgeErrors(root))}

## Other reasons in the coverage
${table(['reason', 'given by'], reasons(root))}
`;
}

if (process.argv[1] === import.meta.filename) {
  writeFileSync(join(process.cwd(), 'docs', 'reference', 'names.md'), renderNames(process.cwd()));
}
