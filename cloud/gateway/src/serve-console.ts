import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';

/** What the console must know of the installation, also before anybody has logged in; served as `/console.json`. */
export interface ConsoleSettings {
  /** Of the realm that logs people in. */
  readonly issuer: string;
  /** Where boxes connect to: `mqtt://star.example:1883`. */
  readonly mqttUrl: string;
}

/**
 * Serves the built console. Its routes live behind `#`, so there is one page; the other files carry their hash in
 * their name and may be kept for ever.
 */
export async function serveConsole(app: FastifyInstance, folder: string, settings: ConsoleSettings): Promise<void> {
  app.get('/console.json', async () => settings);
  await app.register(fastifyStatic, {
    root: folder,
    cacheControl: false,
    setHeaders: (response, path) => {
      response.header('cache-control', path.includes('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache');
      response.header('x-content-type-options', 'nosniff');
      response.header('x-frame-options', 'DENY');
      response.header('referrer-policy', 'no-referrer');
    },
  });
}
