import type { Database, SecretBox } from '@star/platform';
import { devicesErrors } from '../devices.errors';
import type { EdgeIdentity } from '../edges/edge';
import { edgeExists } from '../edges/edge.store';
import type { DeviceSession } from '../hub/device-session';
import { signalHubs } from '../hub/hub-channel.store';
import { type AttributesRequest, BadPayload, parseJson } from '../hub/payloads';
import { recorderAttributes } from '../recorders/recorder-attributes';
import { deleteAttributes, maxAttributesPerScope, readAttributes, saveAttributes } from './attribute.store';

export interface AttributesDeps {
  readonly db: Database;
  readonly secrets: SecretBox;
}

/** Shared attributes as the device sees them: those set for it, and one per recorder. */
async function sharedOf({ db, secrets }: AttributesDeps, edge: Pick<EdgeIdentity, 'id' | 'tenantId'>, keys: readonly string[] | 'all') {
  const [plain, recorders] = await db.tenant(edge.tenantId, async (tx) => [
    await readAttributes(tx, edge.id, 'SHARED', keys),
    await recorderAttributes(tx, secrets, edge.id, keys),
  ]);
  return new Map<string, unknown>([...[...plain].map(([key, json]) => [key, parseJson(json)] as const), ...recorders]);
}

/** What a device says about itself. Throws BadPayload when it has said too much. */
export const saveClientAttributes =
  ({ db }: Pick<AttributesDeps, 'db'>) =>
  async (edge: EdgeIdentity, values: ReadonlyMap<string, unknown>): Promise<void> => {
    if (values.size === 0) return;
    await db.tenant(edge.tenantId, async (tx) => {
      if ((await saveAttributes(tx, edge, 'CLIENT', values)) > maxAttributesPerScope) throw new BadPayload('too many attributes');
    });
  };

/** The answer to an attributes request; a section without values is absent. */
export const readDeviceAttributes =
  (deps: AttributesDeps) =>
  async (edge: EdgeIdentity, { clientKeys, sharedKeys }: AttributesRequest): Promise<Record<string, unknown>> => {
    const answer: Record<string, unknown> = {};
    if (clientKeys !== undefined) {
      const client = await deps.db.tenant(edge.tenantId, (tx) => readAttributes(tx, edge.id, 'CLIENT', clientKeys));
      if (client.size > 0) answer.client = Object.fromEntries([...client].map(([key, json]) => [key, parseJson(json)]));
    }
    if (sharedKeys !== undefined) {
      const shared = await sharedOf(deps, edge, sharedKeys);
      if (shared.size > 0) answer.shared = Object.fromEntries(shared);
    }
    return answer;
  };

/** Sends the device the present values of these shared attributes, and names those that are gone. */
export const pushSharedAttributes =
  (deps: AttributesDeps) =>
  async (session: DeviceSession, keys: readonly string[] | 'all'): Promise<void> => {
    const values = await sharedOf(deps, session.edge, keys);
    const deleted = keys === 'all' ? [] : keys.filter((key) => !values.has(key));
    if (values.size > 0 || deleted.length > 0) session.pushAttributes(Object.fromEntries(values), deleted);
  };

/** Sets and deletes shared attributes of an edge and pushes them. Throws `edge.not_found`. */
export const setSharedAttributes =
  ({ db }: Pick<AttributesDeps, 'db'>) =>
  async (tenantId: string, edgeId: string, values: ReadonlyMap<string, unknown>, deleted: readonly string[] = []): Promise<void> => {
    await db.tenant(tenantId, async (tx) => {
      if (!(await edgeExists(tx, edgeId))) throw devicesErrors.error('edge.not_found', { edgeId });
      if (values.size > 0) await saveAttributes(tx, { tenantId, id: edgeId }, 'SHARED', values);
      if (deleted.length > 0) await deleteAttributes(tx, edgeId, 'SHARED', deleted);
      // A notification holds 8,000 bytes: a long list goes in several.
      const keys = [...values.keys(), ...deleted];
      for (let at = 0; at < keys.length; at += 20) await signalHubs(tx, { kind: 'attributes', edgeId, keys: keys.slice(at, at + 20) });
    });
  };
