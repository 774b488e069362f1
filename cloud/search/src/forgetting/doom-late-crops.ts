import type { Tx } from '@star/platform';
import { objectKeys } from '@stardipper/proto';
import { edgesOfDeletions, lockDeletion, noteDeletionCrops, takeDeletionCrops } from './deletion.store';
import { doomObjects } from './doomed.store';

/** Longer than an address signed for an upload lives. */
const uploadSeconds = 1200;

/** What the box uploaded between the deletion and its receipt, or its removal, and what is on its way. */
export const doomNotedCrops = async (tx: Tx, tenantId: string, personId: string, edgeId: string): Promise<unknown> =>
  doomObjects(tx, tenantId, await takeDeletionCrops(tx, personId, edgeId), uploadSeconds);

/**
 * Pictures of people who had been deleted when a box reported them: it uploads them all the same. They go when it has
 * forgotten the person, or soon where it has already and can have no more to upload than what is on its way.
 */
export async function doomLateCrops(
  tx: Tx,
  tenantId: string,
  edgeId: string,
  matches: readonly { readonly personId: string; readonly sightingId: string }[],
): Promise<void> {
  // In order, so that two reports do not wait for each other.
  for (const personId of [...new Set(matches.map((match) => match.personId))].sort()) {
    const own = matches.filter((match) => match.personId === personId);
    const crops = own.map(({ sightingId }) => ({ edgeId, key: objectKeys.crop(tenantId, edgeId, sightingId) }));
    const deletion = await lockDeletion(tx, personId);
    const asked = (await edgesOfDeletions(tx, [personId])).find((edge) => edge.edge_id === edgeId);
    if (deletion) await noteDeletionCrops(tx, tenantId, personId, crops);
    if (deletion?.fanned_out_at && asked?.state !== 'pending') await doomNotedCrops(tx, tenantId, personId, edgeId);
  }
}
