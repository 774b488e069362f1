import { userInfo } from 'node:os';
import { parseArgs } from 'node:util';
import { AppError, createDeadLetters, type Operator } from '@star/platform';
import { recordAudit } from '@star/tenants';
import { platformTenantId } from '@stardipper/proto';
import { type Command, type CommandContext, UsageError } from './command';
import { withDatabase } from './with-database';

const usualLimit = 50;
const maxLimit = 500;
const maxReason = 500;
/** Of a record, in letters: a report with hundreds of matches is looked at with other means. */
const maxShown = 20_000;

interface Call extends Pick<CommandContext, 'say'> {
  readonly letters: ReturnType<typeof createDeadLetters>;
  readonly operator: Operator;
}
type Job = (call: Call) => Promise<number>;
type Flags = Readonly<Record<'topic' | 'group' | 'cursor' | 'limit' | 'reason', string | undefined>>;

/**
 * `star dead-letters …`: what consumers gave up on, with the bus in PostgreSQL. What is done is told the audit log of the
 * platform, in the name of the account on this machine. Exit status 0: done; 1: there is no such letter; 2: asked wrongly,
 * or it could not be done.
 */
export const deadLettersCommand: Command = {
  usage: [
    'dead-letters list [--topic <topic>] [--group <group>] [--limit <number>] [--cursor <cursor>]',
    'dead-letters show <id>',
    'dead-letters replay <id> | --topic <topic>',
    'dead-letters drop <id> --reason <text>',
  ],
  async run([verb = '', ...args], { settings, say }) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        topic: { type: 'string' },
        group: { type: 'string' },
        cursor: { type: 'string' },
        limit: { type: 'string' },
        reason: { type: 'string' },
      },
    });
    const prepare = Object.hasOwn(verbs, verb) ? verbs[verb] : undefined;
    if (!prepare) throw new UsageError(`star dead-letters ${verb}: there is no such command`);
    const job = prepare(positionals, {
      topic: undefined,
      group: undefined,
      cursor: undefined,
      limit: undefined,
      reason: undefined,
      ...values,
    });
    if (settings.STAR_KAFKA_BROKERS !== undefined)
      throw new Error('this Star’s bus is Kafka: its dead letters are in the topics <group>.dead-letter');
    const operator = { tenantId: platformTenantId, username: `${userInfo().username} on Star's machine` };
    return withDatabase(settings, async (database) => {
      try {
        return await job({ letters: createDeadLetters({ database, audit: recordAudit }), operator, say });
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        say(`Star refused: ${error.code}`);
        return 1;
      }
    });
  },
};

const only = (args: readonly string[]): string => {
  if (args.length !== 1) throw new UsageError('name exactly one dead letter');
  return args[0] as string;
};

/** Each reads what it was asked before the database is opened. */
const verbs: Readonly<Record<string, (args: readonly string[], flags: Flags) => Job>> = {
  list: (args, { topic, group, cursor, limit = String(usualLimit) }) => {
    if (args.length > 0) throw new UsageError('list takes no ids');
    if (!/^\d{1,3}$/.test(limit) || Number(limit) < 1 || Number(limit) > maxLimit)
      throw new UsageError(`--limit takes a number from 1 to ${maxLimit}`);
    return async ({ letters, say }) => {
      const filter = { ...(topic === undefined ? {} : { topic }), ...(group === undefined ? {} : { group }) };
      const page = await letters.list(filter, { limit: Number(limit), ...(cursor === undefined ? {} : { cursor }) });
      for (const each of page.items) {
        const { id, failed_at, group_name, topic: of, key, tenant_id, reason, replay_requested } = each;
        const state = replay_requested ? 'replaying' : 'waiting';
        say([id, failed_at.toISOString(), state, group_name, of, `tenant ${tenant_id ?? '?'}`, `key ${key}`, oneLine(reason)].join('  '));
      }
      if (page.items.length === 0) say('no dead letters');
      if (page.nextCursor) say(`more: --cursor ${page.nextCursor}`);
      return 0;
    };
  },
  show: (args) => {
    const id = only(args);
    return async ({ letters, operator, say }) => {
      const { group_name: group, topic, key, headers, value, reason, failed_at: failedAt, record } = await letters.show(operator, id);
      say(JSON.stringify({ id, group, topic, key, failedAt, reason, headers }, null, 2));
      const text = record ? JSON.stringify(record.message, plain, 2) : `not decodable, ${value.length} bytes: ${value.toString('base64')}`;
      say(text.length > maxShown ? `${text.slice(0, maxShown)}… (${text.length} letters)` : text);
      return 0;
    };
  },
  replay: (args, { topic }) => {
    if (topic !== undefined && args.length > 0) throw new UsageError('name one dead letter or a topic');
    const id = topic === undefined ? only(args) : undefined;
    return async ({ letters, operator, say }) => {
      if (id !== undefined) await letters.replay(operator, id);
      const count = topic === undefined ? 1 : await letters.replayTopic(operator, topic);
      say(`${count} asked for again`);
      return 0;
    };
  },
  drop: (args, { reason }) => {
    const id = only(args);
    const why = reason?.trim() ?? '';
    if (why === '' || why.length > maxReason) throw new UsageError(`--reason takes 1 to ${maxReason} letters`);
    return async ({ letters, operator, say }) => {
      await letters.drop(operator, id, why);
      say(`${id}  dropped`);
      return 0;
    };
  },
};

const oneLine = (text: string): string => text.replace(/\s+/g, ' ').slice(0, 200);
const plain = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? value.toString() : value);
