import { randomUUID } from 'node:crypto';
import type { SecretBox } from '@star/platform';
import { type Database, isForeignKeyViolation, isUniqueViolation, type Tx } from '@star/platform';
import { type createRecorder, type patchRecorder, type Recorder, recorderAttributePrefix } from '@stardipper/proto';
import type { z } from 'zod';
import { devicesErrors } from '../devices.errors';
import { edgeExists } from '../edges/edge.store';
import { signalHubs } from '../hub/hub-channel.store';
import type { PageRequest } from '../paging';
import * as store from './recorder.store';
import { listRecorders } from './recorder-list.read';
import { shownRecorder } from './shown-recorder';

export interface RecordersDeps {
  readonly db: Database;
  readonly secrets: SecretBox;
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

/** Throws `edge.not_found`, `recorder.name_taken`, `recorder.time_zone_unknown`. */
export const addRecorder =
  ({ db, secrets }: RecordersDeps) =>
  async (tenantId: string, edgeId: string, input: z.infer<typeof createRecorder>): Promise<Recorder> => {
    checkTimeZone(input.timeZone);
    const id = randomUUID();
    try {
      return await db.tenant(tenantId, async (tx) => {
        if (!(await edgeExists(tx, edgeId))) throw devicesErrors.error('edge.not_found', { edgeId });
        const { password, ...settings } = input;
        const row = await store.insertRecorder(
          tx,
          id,
          { tenantId, id: edgeId },
          { ...settings, passwordSealed: secrets.seal(password, id) },
        );
        await tellEdge(tx, edgeId, id);
        return shownRecorder(row);
      });
    } catch (error) {
      throw outward(error, input.name, edgeId);
    }
  };

/** Throws `recorder.not_found`, `recorder.name_taken`, `recorder.time_zone_unknown`. */
export const changeRecorder =
  ({ db, secrets }: RecordersDeps) =>
  async (tenantId: string, recorderId: string, input: z.infer<typeof patchRecorder>): Promise<Recorder> => {
    checkTimeZone(input.timeZone);
    const { password, ...settings } = input;
    try {
      return await db.tenant(tenantId, async (tx) => {
        const sealed = password === undefined ? {} : { passwordSealed: secrets.seal(password, recorderId) };
        const row = await store.updateRecorder(tx, recorderId, { ...settings, ...sealed });
        if (!row) throw devicesErrors.error('recorder.not_found', { recorderId });
        await tellEdge(tx, row.edge_id, recorderId);
        return shownRecorder(row);
      });
    } catch (error) {
      throw outward(error, input.name);
    }
  };

/** With its cameras; the box is told to forget it. Throws `recorder.not_found`. */
export const removeRecorder =
  ({ db }: RecordersDeps) =>
  async (tenantId: string, recorderId: string): Promise<void> => {
    await db.tenant(tenantId, async (tx) => {
      const edgeId = await store.deleteRecorder(tx, recorderId);
      if (edgeId === undefined) throw devicesErrors.error('recorder.not_found', { recorderId });
      await tellEdge(tx, edgeId, recorderId);
    });
  };

/** Throws `recorder.not_found`. */
export const readRecorder =
  ({ db }: RecordersDeps) =>
  async (tenantId: string, recorderId: string): Promise<Recorder> => {
    const row = await db.tenant(tenantId, (tx) => store.findRecorder(tx, recorderId));
    if (!row) throw devicesErrors.error('recorder.not_found', { recorderId });
    return shownRecorder(row);
  };

/** Throws `edge.not_found`. */
export const readRecorders =
  ({ db }: RecordersDeps) =>
  (tenantId: string, edgeId: string, page: PageRequest) =>
    db.tenant(tenantId, async (tx) => {
      if (!(await edgeExists(tx, edgeId))) throw devicesErrors.error('edge.not_found', { edgeId });
      return listRecorders(tx, edgeId, page);
    });
