/** The `star` command: what an operator does on Star's machine. One file per command in `commands/`. */

import { readConfig } from '@star/platform';
import { auditCommand } from './commands/audit';
import { type Command, commandSettings, UsageError } from './commands/command';
import { deadLettersCommand } from './commands/dead-letters';
import { keysCommand } from './commands/keys';
import { tenantsCommand } from './commands/tenants';

const commands: Readonly<Record<string, Command>> = {
  audit: auditCommand,
  'dead-letters': deadLettersCommand,
  keys: keysCommand,
  tenants: tenantsCommand,
};

const usage = () =>
  ['Usage:', ...Object.values(commands).flatMap((command) => command.usage.map((line) => `  star ${line}`)), ''].join('\n');

async function main([name = '', ...args]: readonly string[]): Promise<number> {
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!command) {
    process.stderr.write(usage());
    return 2;
  }
  return command.run(args, {
    settings: readConfig(commandSettings, process.env),
    say: (line) => process.stdout.write(`${line}\n`),
  });
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    const wrongUse = error instanceof UsageError || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS');
    process.stderr.write(wrongUse ? `${(error as Error).message}\n${usage()}` : `${error instanceof Error ? error.message : error}\n`);
    process.exitCode = 2;
  },
);
