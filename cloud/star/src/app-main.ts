/** One application process of Star; started by `main.ts`, which says by settings which services it runs and where the parts are. */

import { readConfig } from '@star/platform';
import { connectBus } from '@star/platform/nest';
import { openBase } from './base';
import { openGatewayHttp, openServicesHttp } from './open-http';
import { composeServices } from './services';
import { type AppSettings, appSettings } from './settings';

interface Running {
  readonly ready: Record<string, unknown>;
  stop(): Promise<void>;
}

async function runServices(settings: AppSettings): Promise<Running> {
  const base = await openBase(settings);
  const services = composeServices(base, settings.STAR_ROLE);
  const app = await openServicesHttp(base, services);
  connectBus(app.nest, {
    bus: base.bus,
    group: settings.STAR_ROLE,
    onHandled: (topic, group, outcome, seconds) => base.metrics.busSeconds.observe({ topic, group, outcome }, seconds),
  });
  const said = await services.start();
  await app.nest.startAllMicroservices();
  const url = await app.listen();
  // Whoever hears that Star is ready logs in next.
  await services.openFirstTenant();
  return {
    ready: { url, ...said },
    stop: async () => {
      await app.close();
      await services.stop();
      await base.close();
    },
  };
}

async function runGateway(settings: AppSettings): Promise<Running> {
  const app = await openGatewayHttp(settings);
  return { ready: { url: await app.listen() }, stop: () => app.close() };
}

async function main(): Promise<void> {
  const settings = readConfig(appSettings, process.env);
  let running: Running | undefined;
  let ending = false;
  const end = () => {
    if (ending) return;
    ending = true;
    // What has only begun to start has nothing to bring to an end.
    if (!running) process.exit(0);
    setTimeout(() => process.exit(1), 7000).unref();
    running.stop().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  // Before anything is started: a supervisor that dies meanwhile must not leave this one behind.
  for (const signal of ['SIGTERM', 'SIGINT', 'disconnect'] as const) process.once(signal, end);
  running = settings.STAR_ROLE === 'gateway' ? await runGateway(settings) : await runServices(settings);
  process.send?.({ type: 'ready', ...running.ready });
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
