/** A tenant with one of everything: what is in a Star that somebody uses. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { createRetention } from '@star/tenants';
import { objectKeys, type Page, type Search, type TaskReport } from '@stardipper/proto';
import { Device, provision } from '../../../devices/test/world';
import { packId, picture } from '../../../search/test/support/world';
import type { Body, WholeStar } from './whole-star';

export interface Furnished {
  readonly tenantId: string;
  /** In whatever text the tenant's things have. */
  readonly mark: string;
  /** Of somebody with all roles. */
  readonly token: string;
  readonly apiKey: string;
  /** Of its box. */
  readonly deviceToken: string;
  /** Ids by what they name. */
  readonly ids: Readonly<Record<Thing, string>>;
  readonly cropUrl: string;
  /** Everything that must not be in an answer to another tenant. */
  readonly secrets: readonly string[];
}

export type Thing =
  | 'tenantId'
  | 'areaId'
  | 'userId'
  | 'grantId'
  | 'provisioningKeyId'
  | 'apiKeyId'
  | 'edgeId'
  | 'recorderId'
  | 'cameraId'
  | 'packageId'
  | 'personId'
  | 'deletedPersonId'
  | 'photoId'
  | 'searchId'
  | 'matchId';

type AskAs = (method: string, path: string, body?: unknown, headers?: Record<string, string>) => Promise<Body>;

export async function furnish(star: WholeStar, name: string): Promise<Furnished> {
  const tenantId = randomUUID();
  const mark = `mark-${name}-${randomUUID().slice(0, 8)}`;
  await star.base.database.tenant(tenantId, (tx) =>
    tx.execute('INSERT INTO tenants.tenants (tenant_id, name) VALUES ($1, $2)', [tenantId, mark]),
  );
  await star.base.database.tenant(tenantId, (tx) =>
    createRetention(star.base).record(tx, {
      tenantId,
      runId: randomUUID(),
      kind: 'crops',
      at: new Date(),
      before: new Date(),
      settingsVersion: 0,
      items: 1,
      bytes: 1,
    }),
  );
  const token = await star.tokenFor({ tenantId, username: mark });
  const ask: AskAs = async (method, path, body, headers = {}) => {
    const answer = await star.ask({ method, url: `/api/v1${path}`, headers: { authorization: `Bearer ${token}`, ...headers }, body });
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
    return answer.body;
  };
  const areaId = (await ask('POST', '/areas', { kind: 'community', name: `${mark} garden` })).id as string;
  const box = await aBox(star, ask, mark, areaId);
  const uploaded = { 'content-type': 'application/gzip' };
  const { id: packageId } = await ask('POST', `/software/packages?title=${mark}&version=1.0`, gzipSync(Buffer.from(mark)), uploaded);
  const { id: personId } = await ask('POST', '/people', { name: `${mark} person`, note: mark });
  const { id: deletedPersonId } = await ask('POST', '/people', { name: `${mark} deleted` });
  await ask('DELETE', `/people/${deletedPersonId}`);
  await ask('POST', `/people/${personId}/photos`, await picture('grey'), { 'content-type': 'image/jpeg' });
  const photoId = (await ask('GET', `/people/${personId}`)).photos[0].id as string;
  const permissions = ['people.read', 'searches.read', 'searches.write', 'edges.read'];
  const { id: apiKeyId, key: apiKey } = await ask('POST', '/api-keys', { name: `${mark} program`, permissions });
  const found = await aMatch(star, ask, { ...box, tenantId, mark, personId });
  // The last of all: from now on the tenant's photos wait for a pack that is none.
  await ask('PUT', '/software/assignment', { packageId });
  const userId = (await ask('POST', '/users', { username: mark, displayName: mark, roles: ['viewer'] })).id as string;
  const grantId = (await ask('POST', '/grants', { userId, areaId, role: 'viewer' })).id as string;
  const { edgeId, recorderId, cameraId, provisioningKeyId, deviceToken } = box;
  const { searchId, matchId, cropUrl } = found;
  const ids = {
    tenantId,
    areaId,
    userId,
    grantId,
    provisioningKeyId,
    apiKeyId,
    edgeId,
    recorderId,
    cameraId,
    packageId,
    personId,
    deletedPersonId,
    photoId,
    searchId,
    matchId,
  };
  return {
    tenantId,
    mark,
    token,
    apiKey,
    deviceToken,
    ids,
    cropUrl,
    secrets: [mark, apiKey, deviceToken, ...Object.values(ids)],
  };
}

interface Box {
  readonly provisioningKeyId: string;
  readonly edgeId: string;
  readonly recorderId: string;
  readonly cameraId: string;
  readonly deviceToken: string;
}

async function aBox(star: WholeStar, ask: AskAs, mark: string, areaId: string): Promise<Box> {
  const key = await ask('POST', '/provisioning-keys', { areaId });
  const { credentialsValue } = await provision(star.mqttPort, key, { deviceName: `${mark} box` });
  const edgeId = (await ask('GET', '/edges')).items[0].id as string;
  const recorder = { name: `${mark} recorder`, baseUrl: `http://${mark}.invalid`, username: mark, password: mark };
  const recorderId = (await ask('POST', `/edges/${edgeId}/recorders`, recorder)).id as string;
  const about = { model: mark, serialNumber: mark, firmware: mark, clockOffsetMs: 0, checkedAt: Date.now() };
  const channels = [{ channel: 1, name: `${mark} gate`, online: true }];
  await report(star, credentialsValue as string, {
    recorderReport: { id: `${recorderId}:1`, recorderId, reachable: true, ...about, channels },
  });
  const cameraId = await eventually(async () => (await ask('GET', '/cameras')).items[0]?.id as string | undefined);
  return { provisioningKeyId: key.id, edgeId, recorderId, cameraId, deviceToken: credentialsValue as string };
}

async function report(star: WholeStar, deviceToken: string, values: object): Promise<void> {
  const device = await Device.connect(star.mqttPort, { username: deviceToken });
  await device.publish('v1/devices/me/telemetry', { ts: Date.now(), values });
  await device.end();
}

interface Known extends Box {
  readonly mark: string;
  readonly tenantId: string;
  readonly personId: string;
}

/** A search that runs, with a match that the box has reported, and its crop. */
async function aMatch(star: WholeStar, ask: AskAs, known: Known): Promise<{ searchId: string; matchId: string; cropUrl: string }> {
  const { mark, personId, cameraId, edgeId, tenantId } = known;
  const to = Math.floor(Date.now() / 60_000) * 60_000 - 7_200_000;
  const range = { from: new Date(to - 3_600_000).toISOString(), to: new Date(to).toISOString() };
  const wanted = { name: `${mark} search`, purpose: mark, personIds: [personId], cameraIds: [cameraId], ...range };
  const { id: searchId } = (await ask('POST', '/searches', wanted)) as Search;
  const { tasks } = (await ask('POST', `/searches/${searchId}/start`)) as Search;
  const taskId = tasks[0]?.id as string;
  const sightingId = randomUUID();
  const done: TaskReport = {
    id: `${taskId}:1`,
    taskId,
    searchId,
    seq: 1,
    state: 'running',
    packId,
    coverage: [{ cameraId, from: to - 3_600_000, to: to - 1_800_000, kind: 'searched', samplingMs: 2000 }],
    matches: [{ sightingId, personId, cameraId, at: to - 3_000_000, score: 0.9, quality: 0.8, box: [1, 2, 3, 4], frame: [1920, 1080] }],
    totals: {
      rangeMs: 3_600_000,
      doneMs: 1_800_000,
      segmentsDone: 1,
      segmentsFailed: 0,
      downloadedBytes: 1,
      keyframesDecoded: 1,
      matches: 1,
    },
  };
  await star.base.objects.put(tenantId, objectKeys.crop(tenantId, edgeId, sightingId), await picture('grey'), 'image/jpeg');
  await report(star, known.deviceToken, { taskReport: done });
  const match = await eventually(async () => ((await ask('GET', `/searches/${searchId}/matches`)) as Page<Body>).items[0]);
  return { searchId, matchId: match.id as string, cropUrl: match.cropUrl as string };
}

export async function eventually<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (let tries = 0; tries < 600; tries++) {
    const found = await look();
    if (found !== undefined) return found;
    await sleep(50);
  }
  throw new Error(`never happened: ${look}`);
}
