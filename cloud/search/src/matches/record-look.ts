import { type Caller, type Tx, who } from '@star/platform';
import type { SearchDeps } from '../ports';

/** Ids in one line of the audit log; a longer list is several lines. */
const idsOfOneLine = 200;

const chunks = <T>(list: readonly T[]): T[][] =>
  Array.from({ length: Math.ceil(list.length / idsOfOneLine) }, (_, i) => list.slice(i * idsOfOneLine, (i + 1) * idsOfOneLine));

/** Faces are looked at when the addresses of their pictures are handed out: one line for a list, with whose they are. */
export async function recordPhotosLook(
  deps: Pick<SearchDeps, 'audit'>,
  tx: Tx,
  caller: Caller,
  photos: readonly { id: string; person_id: string }[],
): Promise<void> {
  for (const seen of chunks(photos)) {
    const personIds = [...new Set(seen.map((photo) => photo.person_id))];
    await deps.audit(tx, {
      ...who(caller),
      action: 'photos.viewed',
      subject: personIds.length === 1 ? (personIds[0] as string) : caller.tenantId,
      details: { personIds, photoIds: seen.map((photo) => photo.id) },
    });
  }
}

/** As `recordPhotosLook`, of the pictures that boxes have taken. */
export async function recordCropsLook(
  deps: Pick<SearchDeps, 'audit'>,
  tx: Tx,
  caller: Caller,
  searchId: string,
  matches: readonly { id: string; personId: string }[],
): Promise<void> {
  for (const seen of chunks(matches))
    await deps.audit(tx, {
      ...who(caller),
      action: 'crops.viewed',
      subject: searchId,
      details: { personIds: [...new Set(seen.map((match) => match.personId))], matchIds: seen.map((match) => match.id) },
    });
}
