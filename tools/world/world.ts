/**
 * A whole small installation on one machine: Star, a Dipper box per community with its simulated recorder, and the
 * footage. The demo shows it, the end-to-end tests break it.
 */

import { createHash } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { agentSocket, callUnary, dial } from '@dipper/platform';
import { type Camera, type Edge, mizar, type Person } from '@stardipper/proto';
import { type Cast, drawnCast, portraitCast } from '../footage/cast.ts';
import { renderFootage } from '../footage/render.ts';
import { type FootagePlan, planFootage, recordingMs } from '../footage/schedule.ts';
import { ApiClient } from './api-client.ts';
import { type BoxName, boxNames, type Identity, readIdentity, writeIdentity } from './identity.ts';
import { type KeptProcess, keepRunning } from './kept-process.ts';
import type { PackAndPeople } from './pack-and-people.ts';
import { untilDefined } from './until-defined.ts';
import type { Wire } from './wire.ts';

const { resolve } = createRequire(import.meta.url);

const regionName = 'Riverside';
const communityNames: Record<BoxName, string> = { east: 'East court', west: 'West court' };

export interface WorldOptions extends PackAndPeople {
  /** Everything the installation keeps lies here; a second start goes on with it. */
  readonly folder: string;
  readonly say: (line: string) => void;
  readonly onRender?: (done: number, total: number) => void;
  /** How Star runs: all services in one process, or one process each. */
  readonly shape?: 'all' | 'services';
  readonly env?: Readonly<Record<string, string>>;
  /** What lies between the boxes and Star, when something does. */
  readonly wire?: Wire;
}

export interface StarReady {
  readonly url: string;
  readonly mqttPort: number;
  readonly mizarData: string;
  /** Every process of Star by name. */
  readonly pids: Readonly<Record<string, number>>;
}

export interface BoxReady {
  readonly pids: Readonly<Record<string, number>>;
}

export interface World {
  readonly api: ApiClient;
  readonly url: string;
  readonly login: { readonly username: string; readonly password: string };
  readonly plan: FootagePlan;
  readonly cast: Cast;
  /** Unix ms of the recording. */
  readonly range: { readonly from: number; readonly to: number };
  readonly star: KeptProcess<StarReady>;
  readonly boxes: Record<BoxName, KeptProcess<BoxReady>>;
  readonly recorders: Record<BoxName, KeptProcess<unknown>>;
  readonly boxData: (box: BoxName) => string;
  /** The file in which Star keeps written which processes it has, by name. */
  readonly starPids: string;
  readonly cameras: readonly Camera[];
  readonly edges: Record<BoxName, Edge>;
  readonly cameraKey: (cameraId: string) => string | undefined;
  readonly stop: () => Promise<void>;
}

export const adminName = 'admin';
/** What each simulated recorder bears, and is told to bear. */
const recorderSessions = 2;

/** Starts everything and waits until every camera is known to Star. What was started is stopped when a step fails. */
export async function startWorld(options: WorldOptions): Promise<World> {
  const started: { stop: () => Promise<void> }[] = [];
  const stop = async () => {
    // Boxes first, so that their last words still reach Star.
    while (started.length > 0) await started.pop()?.stop();
  };
  try {
    return await assemble(options, started, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function assemble(options: WorldOptions, started: { stop: () => Promise<void> }[], stop: () => Promise<void>): Promise<World> {
  const { folder, say } = options;
  await mkdir(folder, { recursive: true });
  let identity = await readIdentity(folder, shownBy(options));

  say('Starting Star…');
  const star = await keepRunning<StarReady>({
    name: 'star',
    script: resolve('@star/star/dist/main.js'),
    logFile: join(folder, 'logs', 'star.log'),
    env: {
      STAR_DATA: join(folder, 'star'),
      STAR_SHAPE: options.shape ?? 'all',
      STAR_HTTP_PORT: String(identity.ports.http),
      STAR_MQTT_PORT: String(identity.ports.mqtt),
      STAR_MIZAR_PROGRAM: resolve('@dipper/mizar/dist/main.js'),
      STAR_PACK: options.models,
      STAR_MODELS_PROGRAM: resolve('@dipper/dipper/dist/main.js'),
      // Boxes fetch queries and put crops where Star says that it is.
      ...(options.wire ? { STAR_PUBLIC_URL: `http://127.0.0.1:${await options.wire.through(identity.ports.http)}` } : {}),
      STAR_FIRST_TENANT: 'Two Courts',
      STAR_FIRST_ADMIN: adminName,
      STAR_FIRST_PASSWORD: identity.password,
      STAR_PLATFORM_PASSWORD: identity.password,
      ...options.env,
    },
  });
  started.push(star);
  const api = new ApiClient(star.ready().url);
  await api.logIn(adminName, identity.password);

  const faces = faceFinder(star.ready().mizarData);
  const cast = options.portraits ? portraitCast(options.portraits, faces.find) : drawnCast();
  const plan = planFootage(cast.files);
  const folders = await renderFootage({
    plan,
    cast,
    folder: join(folder, 'footage'),
    // A scene's name says who is in it, not from which folder the photos and the detector are.
    ...(options.rendered ? { rendered: join(options.rendered, hashOf(shownBy(options))) } : {}),
    startAt: identity.startAt,
    onProgress: options.onRender ?? (() => undefined),
  });
  faces.close();

  identity = await provision(api, identity, folder);
  const recorders = {} as Record<BoxName, KeptProcess<unknown>>;
  const boxes = {} as Record<BoxName, KeptProcess<BoxReady>>;
  const mqttPort = (await options.wire?.through(identity.ports.mqtt)) ?? identity.ports.mqtt;
  for (const box of boxNames) {
    recorders[box] = await startRecorder(folder, box, folders[box] as string, plan, identity);
    started.push(recorders[box]);
  }
  say('Starting two Dipper boxes…');
  for (const box of boxNames) {
    boxes[box] = await startBox(options, box, identity, mqttPort);
    started.push(boxes[box]);
  }
  const edges = await connectEdges(api, identity);
  const cameras = await untilDefined(60_000, 'the cameras to be found', async () => {
    const found = await api.cameras();
    return found.length >= plan.cameras.length ? found : undefined;
  });
  const boxOf = new Map(boxNames.map((box) => [edges[box].id, box]));
  const keys = new Map(cameras.map((c) => [c.id, `${boxOf.get(c.edgeId)}.${c.channel}`]));
  return {
    api,
    url: star.ready().url,
    login: { username: adminName, password: identity.password },
    plan,
    cast,
    range: { from: identity.startAt, to: identity.startAt + recordingMs },
    star,
    boxes,
    recorders,
    boxData: (box) => join(folder, 'boxes', box),
    starPids: join(folder, 'star', 'pids.json'),
    cameras,
    edges,
    cameraKey: (id) => keys.get(id),
    stop,
  };
}

/** Forgets all but the footage and its times, so that the next start is a first one that renders nothing. Nothing may run. */
export async function startOver(options: Pick<WorldOptions, 'folder' | keyof PackAndPeople>): Promise<void> {
  const { folder } = options;
  await mkdir(folder, { recursive: true });
  await writeIdentity(folder, { ...(await readIdentity(folder, shownBy(options))), provisioning: {} });
  for (const name of ['star', 'boxes', 'logs']) await rm(join(folder, name), { recursive: true, force: true });
}

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 12);

const shownBy = ({ models, portraits }: PackAndPeople): string => `${models} ${portraits ?? 'drawn'}`;

/** Enrols the people of the plan by the photo that is not in the footage; those who are there already are kept. */
export async function enrol(world: World): Promise<Map<string, Person>> {
  const known = new Map((await world.api.people()).map((p) => [p.name, p]));
  for (const [name, file] of Object.entries(world.plan.enrolled)) {
    let person = known.get(name) ?? (await world.api.createPerson(name));
    if (person.photos.length === 0) {
      await world.api.addPhoto(person.id, await world.cast.photo(file), file.endsWith('.png') ? 'image/png' : 'image/jpeg');
      person = (await world.api.people()).find((p) => p.id === person.id) ?? person;
    }
    known.set(name, person);
  }
  return known;
}

/** Asks Star's own Mizar where the face in a portrait is: the footage is drawn to that scale. */
function faceFinder(mizarData: string) {
  const client = dial(mizar.MizarServiceClient, agentSocket(mizarData, 'mizar'));
  return {
    find: async (image: Buffer) => {
      const { box } = await callUnary(client, client.embedPhoto, { image, packId: '' }, { timeoutMs: 30_000 });
      if (!box) throw new Error('the detector gave no face');
      return box;
    },
    close: () => client.close(),
  };
}

async function provision(api: ApiClient, identity: Identity, folder: string): Promise<Identity> {
  const provisioning = { ...identity.provisioning };
  for (const box of boxNames) {
    if (provisioning[box]) continue;
    const areas = await api.areas();
    const region = areas.find((area) => area.kind === 'region') ?? (await api.createArea('region', regionName));
    const community =
      areas.find((area) => area.name === communityNames[box]) ?? (await api.createArea('community', communityNames[box], region.id));
    const made = await api.createProvisioningKey(community.id);
    provisioning[box] = { key: made.key, secret: made.secret as string };
  }
  const next = { ...identity, provisioning };
  await writeIdentity(folder, next);
  return next;
}

async function startRecorder(
  folder: string,
  box: BoxName,
  footageDir: string,
  plan: FootagePlan,
  identity: Identity,
): Promise<KeptProcess<unknown>> {
  const unreachable = plan.cameras.filter((c) => c.box === box && c.unreachable);
  const config = {
    footageDir,
    port: identity.ports.recorders[box],
    username: 'dipper',
    password: identity.recorderPassword,
    faults: { maxSessions: recorderSessions, channels: Object.fromEntries(unreachable.map((c) => [c.channel, 'server_error'])) },
  };
  await writeFile(join(footageDir, 'recorder.json'), JSON.stringify(config), { mode: 0o600 });
  return keepRunning({
    name: `recorder-${box}`,
    script: resolve('@dipper/camsim/dist/main.js'),
    logFile: join(folder, 'logs', `recorder-${box}.log`),
    env: { CAMSIM_CONFIG: join(footageDir, 'recorder.json') },
  });
}

async function startBox(options: WorldOptions, box: BoxName, identity: Identity, mqttPort: number): Promise<KeptProcess<BoxReady>> {
  const data = join(options.folder, 'boxes', box);
  await mkdir(data, { recursive: true });
  const config = join(data, 'dipper.json');
  const content = {
    name: communityNames[box],
    starMqttUrl: `mqtt://127.0.0.1:${mqttPort}`,
    provisionKey: identity.provisioning[box]?.key,
    provisionSecret: identity.provisioning[box]?.secret,
    pack: options.models,
  };
  await writeFile(config, JSON.stringify(content, null, 1), { mode: 0o600 });
  return keepRunning<BoxReady>({
    name: `box-${box}`,
    script: resolve('@dipper/dipper/dist/main.js'),
    args: ['run', '--data', data, '--config', config, '--json'],
    logFile: join(options.folder, 'logs', `box-${box}.log`),
    // A camera that fails is given up on within seconds here; on a site the pauses are longer.
    env: { ALIOTH_BACKOFF_FIRST_MS: '200', MERAK_RETRY_MS: '200', ...options.env },
  });
}

/** Waits for both boxes to have registered themselves, and tells Star of their recorders the first time. */
async function connectEdges(api: ApiClient, identity: Identity): Promise<Record<BoxName, Edge>> {
  const found = {} as Record<BoxName, Edge>;
  for (const box of boxNames) {
    found[box] = await untilDefined(60_000, `box ${box} to be online`, async () =>
      (await api.edges()).find((e) => e.name === communityNames[box] && e.online),
    );
    if ((await api.recorders(found[box].id)).length > 0) continue;
    await api.createRecorder(found[box].id, {
      name: `${communityNames[box]} recorder`,
      baseUrl: `http://127.0.0.1:${identity.ports.recorders[box]}`,
      username: 'dipper',
      password: identity.recorderPassword,
      maxSessions: recorderSessions,
    });
  }
  return found;
}
