import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { page, type Tenant, type TenantDetail, type TenantJob, tenant, tenantDetail, tenantExport } from '@stardipper/proto';
import { type Command, type CommandContext, UsageError } from './command';
import { ApiProblem, openStarSession, type StarSession } from './star-session';

const lookAgainMs = 500;

/**
 * `star tenants …`: what the platform's operator does with tenants, through Star's API. Exit status 0: done; 1: Star
 * refused or could not, and says why; 2: asked wrongly.
 */
export const tenantsCommand: Command = {
  usage: [
    'tenants list [--name <part>] [--state <state>]',
    'tenants create <name> --admin <user name> [--admin-name <display name>] [--area <name>] [--no-wait]',
    'tenants status|enable|restore <id>',
    'tenants disable <id> [--reason <text>]',
    'tenants delete <id> [--grace-days <days>]',
    'tenants export <id> [--to <file>]',
  ],
  async run([verb = '', ...rest], context) {
    const { values, positionals } = parseArgs({
      args: rest,
      allowPositionals: true,
      options: {
        name: { type: 'string' },
        state: { type: 'string' },
        admin: { type: 'string' },
        'admin-name': { type: 'string' },
        area: { type: 'string' },
        'no-wait': { type: 'boolean' },
        reason: { type: 'string' },
        'grace-days': { type: 'string' },
        to: { type: 'string' },
      },
    });
    const doIt = Object.hasOwn(verbs, verb) ? verbs[verb] : undefined;
    if (!doIt) throw new UsageError(`star tenants ${verb}: there is no such command`);
    try {
      return await doIt({ ...context, star: openStarSession(context.settings), flags: values }, positionals);
    } catch (error) {
      if (!(error instanceof ApiProblem)) throw error;
      context.say(`Star refused: ${error.message}`);
      return 1;
    }
  },
};

interface Call extends CommandContext {
  readonly star: StarSession;
  readonly flags: Readonly<Record<string, string | boolean | undefined>>;
}
type Verb = (call: Call, args: readonly string[]) => Promise<number>;

const line = ({ id, state, name, deleteAfter, reason }: Tenant) =>
  [id, state.padEnd(8), name, ...(deleteAfter ? [`removed after ${deleteAfter}`] : []), ...(reason ? [`(${reason})`] : [])].join('  ');

const only = (args: readonly string[], what: string): string => {
  if (args.length !== 1) throw new UsageError(`name exactly one ${what}`);
  return args[0] as string;
};

const change =
  (method: string, path: string, body?: (call: Call) => unknown): Verb =>
  async (call, args) => {
    const id = encodeURIComponent(only(args, 'tenant id'));
    call.say(line(await call.star.call(method, `/tenants/${id}${path}`, tenantDetail, body?.(call))));
    return 0;
  };

const verbs: Readonly<Record<string, Verb>> = {
  list: async ({ star, flags, say }) => {
    for (let cursor: string | null = ''; cursor !== null; ) {
      const query = new URLSearchParams({ limit: '200', ...(cursor && { cursor }) });
      for (const name of ['name', 'state']) if (flags[name] !== undefined) query.set(name, String(flags[name]));
      const answer: { items: Tenant[]; nextCursor: string | null } = await star.call('GET', `/tenants?${query}`, page(tenant));
      for (const item of answer.items) say(line(item));
      cursor = answer.nextCursor;
    }
    return 0;
  },
  create: async (call, args) => {
    const { star, flags, say } = call;
    const name = only(args, 'tenant name');
    if (typeof flags.admin !== 'string') throw new UsageError('--admin takes the user name of the first administrator');
    const password = randomBytes(12).toString('base64url');
    const admin = { username: flags.admin, displayName: String(flags['admin-name'] ?? flags.admin), password };
    const opened = await star.call('POST', '/tenants', tenantDetail, { name, admin, ...(flags.area ? { firstArea: flags.area } : {}) });
    say(`${opened.id}  opening  ${name}`);
    say(`password of ${admin.username}, shown this once: ${password}`);
    return flags['no-wait'] ? 0 : followJob(call, opened.id);
  },
  status: async (call, args) => {
    const detail = await call.star.call('GET', `/tenants/${encodeURIComponent(only(args, 'tenant id'))}`, tenantDetail);
    call.say(line(detail));
    for (const each of jobLines(detail.job)) call.say(each);
    if (detail.report) call.say(JSON.stringify(detail.report));
    return 0;
  },
  enable: change('POST', '/enable'),
  restore: change('POST', '/restore'),
  disable: change('POST', '/disable', ({ flags }) => ({ reason: flags.reason ?? '' })),
  delete: (call, args) => {
    const days = call.flags['grace-days'];
    return change('DELETE', days === undefined ? '' : `?graceDays=${encodeURIComponent(String(days))}`)(call, args);
  },
  export: async ({ star, flags, say }, args) => {
    const id = only(args, 'tenant id');
    const path = `/tenants/${encodeURIComponent(id)}/export`;
    let exported = await star.call('POST', path, tenantExport);
    while (exported.job.state === 'doing' || exported.job.state === 'undoing') {
      await sleep(lookAgainMs);
      exported = await star.call('GET', path, tenantExport);
    }
    if (!exported.url) {
      for (const each of jobLines(exported.job)) say(each);
      return 1;
    }
    const { files = 0, ...rows } = exported.rows;
    const file = String(flags.to ?? `tenant-${id}.tar.gz`);
    const answer = await star.download(exported.url);
    await pipeline(Readable.fromWeb(answer.body as import('node:stream/web').ReadableStream), createWriteStream(file, { mode: 0o600 }));
    say(
      `${file}: ${Object.values(rows).reduce((sum, count) => sum + count, 0)} rows of ${Object.keys(rows).length} tables, ${files} files`,
    );
    return 0;
  },
};

/** Says each step when it is done; 1 when all of it was undone. */
async function followJob({ star, say }: Call, id: string): Promise<number> {
  let told = 0;
  for (;;) {
    const detail: TenantDetail = await star.call('GET', `/tenants/${id}`, tenantDetail);
    const done = detail.job?.steps.filter((step) => step.state === 'done') ?? [];
    for (; told < done.length; told++) say(`  ${done[told]?.name}`);
    if (detail.job?.state === 'done') {
      say(`${id}  ${detail.state}`);
      return 0;
    }
    if (detail.job?.state === 'undone') {
      say(`nothing of it is left: ${detail.job.failure?.step} failed with ${detail.job.failure?.code}`);
      return 1;
    }
    await sleep(lookAgainMs);
  }
}

const jobLines = (job: TenantJob | null): string[] =>
  job === null
    ? []
    : [
        `${job.kind}: ${job.state}${job.failure ? `, ${job.failure.step} failed with ${job.failure.code}` : ''}`,
        ...job.steps.map(
          (step) => `  ${step.state.padEnd(8)} ${step.name}${step.error ? `  ${step.error.code}, ${step.attempts} tries` : ''}`,
        ),
      ];
