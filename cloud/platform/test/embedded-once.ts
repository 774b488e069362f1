/** A process that owns an embedded server until it is killed: `embedded-once.ts <dataDir>`; prints its addresses. */
import { startEmbeddedPostgres } from '../src/postgres/embedded';

startEmbeddedPostgres({ dataDir: process.argv[2] as string }).then(
  ({ ownerUrl, appUrl, pid }) => process.stdout.write(`${JSON.stringify({ ownerUrl, appUrl, pid })}\n`),
  (error: unknown) => {
    process.stdout.write(`${JSON.stringify({ code: (error as { code?: string }).code })}\n`);
    process.exitCode = 1;
  },
);
