import { setTimeout as sleep } from 'node:timers/promises';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '@star/platform';
import type { Logger } from 'pino';

export interface KeptPostgres {
  readonly ownerUrl: string;
  readonly appUrl: string;
  readonly pid: () => number;
  stop(): Promise<void>;
}

/** The embedded PostgreSQL, started again on the same port when it ends; its clients reconnect by themselves. */
export async function keepPostgres(dataDir: string, log: Logger): Promise<KeptPostgres> {
  let stopping = false;
  let server: EmbeddedPostgres = await startEmbeddedPostgres({ dataDir, log });
  const { ownerUrl, appUrl } = server;
  const port = Number(new URL(appUrl).port);
  const keep = async (): Promise<void> => {
    while (!stopping) {
      await server.exited;
      if (stopping) return;
      log.warn('PostgreSQL ended; starting it again');
      for (let started = false; !started && !stopping; ) {
        try {
          server = await startEmbeddedPostgres({ dataDir, port, log });
          started = true;
        } catch (error) {
          log.error({ err: error }, 'PostgreSQL could not be started');
          await sleep(1000);
        }
      }
    }
  };
  const keeping = keep();
  return {
    ownerUrl,
    appUrl,
    pid: () => server.pid,
    stop: async () => {
      stopping = true;
      await server.stop();
      await keeping;
      // Of one that was just being started again.
      await server.stop();
    },
  };
}
