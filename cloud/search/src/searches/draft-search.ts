import { createHash, randomUUID } from 'node:crypto';
import { type Caller, inScope, who } from '@star/platform';
import type { CreateSearch, devices, Search, Span } from '@stardipper/proto';
import { packOf } from '../packs/tenant-pack';
import { type PersonForPack, peopleForPack, wantPeople } from '../people/embedding.store';
import type { SearchDeps } from '../ports';
import { searchError } from '../search.errors';
import { estimateSearch } from './estimate-search';
import { readSearch } from './search.read';
import { findByIdempotencyKey, findSearch, insertDraft, type SearchRow } from './search.store';

/** Clocks of operators run ahead a little; footage from the future does not exist. */
const clockSlackMs = 60_000;

/**
 * Checks the question, asks the boxes for an estimate, stores a draft. The same `idempotencyKey` with the same body
 * answers the same draft; with another body it throws `search.idempotency_key_reused`.
 */
export const draftSearch =
  (deps: SearchDeps) =>
  async (caller: Caller, input: CreateSearch, idempotencyKey?: string): Promise<Search> => {
    const { tenantId } = caller;
    const key = idempotencyKey === undefined ? null : checkedKey(idempotencyKey);
    const requestSha256 = createHash('sha256').update(JSON.stringify(input)).digest('hex');
    if (key !== null) {
      const earlier = await deps.database.tenant(tenantId, (tx) => findByIdempotencyKey(tx, tenantId, key));
      if (earlier) return sameDraft(deps, tenantId, earlier, requestSha256);
    }
    const range = checkedRange(deps, input);
    const personIds = [...new Set(input.personIds)];
    const cameraIds = [...new Set(input.cameraIds)];
    const pack = await packOf(deps)(tenantId);
    await requireReady(deps, tenantId, personIds, pack.packId);
    const cameras = await requireCameras(deps, caller, cameraIds);
    const estimate = await estimateSearch(deps)(tenantId, cameras, range, pack.packId);
    const draft = {
      id: randomUUID(),
      name: input.name,
      purpose: input.purpose,
      personIds,
      cameraIds,
      fromMs: range.from,
      toMs: range.to,
      threshold: input.threshold ?? pack.defaultThreshold,
      priority: input.priority,
      packId: pack.packId,
      estimate,
      createdBy: caller.userId,
      idempotencyKey: key,
      requestSha256,
    };
    const row = await deps.database.tenant(tenantId, async (tx) => {
      if (!(await insertDraft(tx, tenantId, draft))) return findByIdempotencyKey(tx, tenantId, key as string);
      await deps.audit(tx, { ...who(caller), action: 'search.drafted', subject: draft.id });
      return findSearch(tx, draft.id);
    });
    // The other request's draft can be deleted between the two statements; then this one may be tried again.
    if (!row) throw searchError('search.not_found', { searchId: draft.id });
    return sameDraft(deps, tenantId, row, requestSha256);
  };

async function sameDraft(deps: SearchDeps, tenantId: string, row: SearchRow, requestSha256: string): Promise<Search> {
  if (row.request_sha256 !== requestSha256) throw searchError('search.idempotency_key_reused', { searchId: row.id });
  return readSearch(deps)(tenantId, row.id);
}

function checkedKey(key: string): string {
  if (!/^[\x21-\x7e]{1,200}$/.test(key)) throw searchError('search.idempotency_key_invalid', { maxLength: 200 });
  return key;
}

function checkedRange(deps: SearchDeps, input: { from: string; to: string }): Span {
  const from = Date.parse(input.from);
  const to = Date.parse(input.to);
  const { maxRangeMs } = deps.settings;
  if (from >= to) throw searchError('search.range_reversed', { from: input.from, to: input.to });
  if (to > deps.now().getTime() + clockSlackMs) throw searchError('search.range_in_future', { to: input.to });
  if (to - from > maxRangeMs) throw searchError('search.range_too_long', { maxSeconds: maxRangeMs / 1_000 });
  if (from < 0) throw searchError('search.range_too_old', { from: input.from });
  return { from, to };
}

/**
 * Everybody's photos must have been shown to the pack, all of them: an answer from some of a person's photos would
 * change with the minute in which it was asked. Who is missing is embedded before anybody else.
 */
async function requireReady(deps: SearchDeps, tenantId: string, personIds: readonly string[], packId: string): Promise<void> {
  const found = await deps.database.tenant(tenantId, (tx) => peopleForPack(tx, personIds, packId));
  requireKnown(found, personIds);
  const waiting = found.filter((person) => person.waiting > 0).map((person) => person.id);
  if (waiting.length > 0) {
    await deps.database.tenant(tenantId, (tx) => wantPeople(tx, waiting));
    throw searchError('person.not_embedded', { personIds: waiting, packId });
  }
  requireEmbedded(found, personIds, packId);
}

/** Unknown and foreign are the same answer: another tenant's person does not exist. */
export function requireKnown(found: readonly PersonForPack[], personIds: readonly string[]): void {
  const unknown = personIds.filter((id) => !found.some((person) => person.id === id));
  if (unknown.length > 0) throw searchError('search.person_unknown', { personIds: unknown });
}

/** A person without a photo, or with none that the pack takes, cannot be searched for. */
export function requireEmbedded(found: readonly PersonForPack[], personIds: readonly string[], packId: string): void {
  const without = personIds.filter((id) => found.some((person) => person.id === id && person.embeddings === 0));
  if (without.length > 0) throw searchError('search.person_without_photo', { personIds: without, packId });
}

/** Unknown, foreign, and where the caller may not search: the same answer. */
export async function requireCameras(deps: SearchDeps, caller: Caller, cameraIds: readonly string[]): Promise<devices.CameraRef[]> {
  const scope = await deps.areasVisibleTo(caller, 'searches.write');
  const listed = await deps.edges.listCameras(caller.tenantId, cameraIds);
  const known = new Map(listed.filter((camera) => inScope(scope, camera.areaId)).map((camera) => [camera.cameraId, camera]));
  const unknown = cameraIds.filter((id) => !known.has(id));
  if (unknown.length > 0) throw searchError('search.camera_unknown', { cameraIds: unknown.slice(0, 100) });
  return cameraIds.map((id) => known.get(id) as devices.CameraRef);
}
