import { randomUUID } from 'node:crypto';
import {
  type Audit,
  type Caller,
  type Database,
  isForeignKeyViolation,
  isUniqueViolation,
  type SecretBox,
  type Tx,
  who,
} from '@star/platform';
import { type createRecorder, type patchRecorder, type Recorder, recorderAttributePrefix } from '@stardipper/proto';
import type { z } from 'zod';
import type { AreasPort } from '../areas';
import { changed } from '../audited-change';
import { devicesErrors } from '../devices.errors';
import { edgeExists } from '../edges/edge.store';
import { signalHubs } from '../hub/hub-channel.store';
import type { PageRequest } from '../paging';
import * as store from './recorder.store';
import { listRecorders } from './recorder-list.read';
import { shownRecorder } from './shown-recorder';

export interface RecordersDeps extends Pick<AreasPort, 'areasVisibleTo'> {
  readonly db: Database;
  readonly secrets: SecretBox;
  readonly audit: Audit;
}

/** The box hears of it when the transaction commits, if it is connected, and otherwise when it asks on its return. */
const tellEdge = (tx: Tx, edgeId: string, recorderId: string) =>
  signalHubs(tx, { kind: 'attributes', edgeId, keys: [recorderAttributePrefix + recorderId] });

function checkTimeZone(timeZone: string | undefined): void {
  if (timeZone === undefined) return;
  try {
    new Intl.DateTimeFormat('en', { timeZone });
  } catch {
    throw devicesErrors.error('recorder.time_zone_unknown', { timeZone });
  }
}

function outward(error: unknown, name: string | undefined, edgeId?: string): unknown {
  if (isUniqueViolation(error, 'recorders_name')) return devicesErrors.error('recorder.name_taken', { name });
  // The edge was deleted between the look and the insert.
  if (isForeignKeyViolation(error)) return devicesErrors.error('edge.not_found', { edgeId });
  return error;
}

/** What the audit log may say of a recorder: all but its password. */
const told = (row: store.RecorderRow) => ({
  name: row.name,
  kind: row.kind,
  baseUrl: row.base_url,
  username: row.username,
  maxSessions: row.max_sessions,
  timeMode: row.time_mode,
  timeZone: row.time_zone,
});

/** Throws `edge.not_found`, `recorder.name_taken`, `recorder.time_zone_unknown`. */
export const addRecorder =
  ({ db, secrets, audit, areasVisibleTo }: RecordersDeps) =>
  async (caller: Caller, edgeId: string, input: z.infer<typeof createRecorder>): Promise<Recorder> => {
    const { tenantId } = caller;
    const scope = await areasVisibleTo(caller, 'edges.write');
    checkTimeZone(input.timeZone);
    const id = randomUUID();
    try {
      return await db.tenant(tenantId, async (tx) => {
        if (!(await edgeExists(tx, edgeId, scope))) throw devicesErrors.error('edge.not_found', { edgeId });
        const { password, ...settings } = input;
        const row = await store.insertRecorder(
          tx,
          id,
          { tenantId, id: edgeId },
          { ...settings, passwordSealed: secrets.seal(password, id) },
        );
        await tellEdge(tx, edgeId, id);
        await audit(tx, { ...who(caller), action: 'recorder.created', subject: id, after: told(row), details: { edgeId } });
        return shownRecorder(row);
      });
    } catch (error) {
      throw outward(error, input.name, edgeId);
    }
  };

/** Throws `recorder.not_found`, `recorder.name_taken`, `recorder.time_zone_unknown`. */
export const changeRecorder =
  ({ db, secrets, audit, areasVisibleTo }: RecordersDeps) =>
  async (caller: Caller, recorderId: string, input: z.infer<typeof patchRecorder>): Promise<Recorder> => {
    const { tenantId } = caller;
    const scope = await areasVisibleTo(caller, 'edges.write');
    checkTimeZone(input.timeZone);
    const { password, ...settings } = input;
    try {
      return await db.tenant(tenantId, async (tx) => {
        const before = await store.findRecorder(tx, recorderId, scope, true);
        if (!before) throw devicesErrors.error('recorder.not_found', { recorderId });
        const sealed = password === undefined ? {} : { passwordSealed: secrets.seal(password, recorderId) };
        const row = await store.updateRecorder(tx, recorderId, { ...settings, ...sealed });
        if (!row) throw devicesErrors.error('recorder.not_found', { recorderId });
        await tellEdge(tx, row.edge_id, recorderId);
        const details = { edgeId: row.edge_id, ...(password === undefined ? {} : { passwordChanged: true }) };
        const change = changed(told(before), told(row), settings);
        await audit(tx, { ...who(caller), action: 'recorder.changed', subject: recorderId, ...change, details });
        return shownRecorder(row);
      });
    } catch (error) {
      throw outward(error, input.name);
    }
  };

/** With its cameras; the box is told to forget it. Throws `recorder.not_found`. */
export const removeRecorder =
  ({ db, audit, areasVisibleTo }: RecordersDeps) =>
  async (caller: Caller, recorderId: string): Promise<void> => {
    const scope = await areasVisibleTo(caller, 'edges.write');
    await db.tenant(caller.tenantId, async (tx) => {
      const recorder = await store.findRecorder(tx, recorderId, scope, true);
      if (!recorder) throw devicesErrors.error('recorder.not_found', { recorderId });
      const edgeId = await store.deleteRecorder(tx, recorderId);
      if (edgeId === undefined) throw devicesErrors.error('recorder.not_found', { recorderId });
      await tellEdge(tx, edgeId, recorderId);
      await audit(tx, { ...who(caller), action: 'recorder.deleted', subject: recorderId, before: told(recorder), details: { edgeId } });
    });
  };

/** Throws `recorder.not_found`. */
export const readRecorder =
  ({ db, areasVisibleTo }: RecordersDeps) =>
  async (caller: Caller, recorderId: string): Promise<Recorder> => {
    const scope = await areasVisibleTo(caller, 'edges.read');
    const row = await db.tenant(caller.tenantId, (tx) => store.findRecorder(tx, recorderId, scope));
    if (!row) throw devicesErrors.error('recorder.not_found', { recorderId });
    return shownRecorder(row);
  };

/** Throws `edge.not_found`. */
export const readRecorders =
  ({ db, areasVisibleTo }: RecordersDeps) =>
  async (caller: Caller, edgeId: string, page: PageRequest) => {
    const scope = await areasVisibleTo(caller, 'edges.read');
    return db.tenant(caller.tenantId, async (tx) => {
      if (!(await edgeExists(tx, edgeId, scope))) throw devicesErrors.error('edge.not_found', { edgeId });
      return listRecorders(tx, edgeId, page);
    });
  };
