/** One process of a race: `migrate-once.ts <ownerUrl> <service> <folder>`. */
import { migrate } from '../src/postgres/migrate';

const [ownerUrl, service, folder] = process.argv.slice(2) as [string, string, string];
let applied = 0;
const log = { debug() {}, info: () => applied++, warn() {}, error() {} };
migrate(ownerUrl, service, folder, { log }).then(
  () => process.stdout.write(String(applied)),
  (error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  },
);
