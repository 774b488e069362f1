/**
 * The analytics process: owns one chdb data folder and ends with its parent. Configured over the IPC channel rather than
 * by arguments or environment, where every user of the machine could read the password.
 */
import { type ChdbServerOptions, serveChdb } from './chdb-server';

// chdb runs each statement on libuv's pool, whose default of four threads would be the limit for everything. Read at its first use.
process.env.UV_THREADPOOL_SIZE = '8';

process.once('disconnect', () => process.exit(0));
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(0));
process.once('message', (options: ChdbServerOptions) => {
  serveChdb(options).then(
    ({ port }) => process.send?.({ type: 'ready', port }),
    (error: unknown) => {
      process.send?.({ type: 'failed', reason: error instanceof Error ? error.message : String(error) }, () => process.exit(1));
    },
  );
});
