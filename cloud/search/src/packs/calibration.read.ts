import { setImmediate as breathe } from 'node:timers/promises';
import { type Caller, type Tx, who } from '@star/platform';
import type { Calibration } from '@stardipper/proto';
import { scoresOf } from '../matches/match.store';
import { embeddingSealOf, type SealedEmbedding } from '../people/embedding-seal';
import type { SearchDeps } from '../ports';
import { packOf } from './tenant-pack';

const steps = 200;
/** Some two million pairs: a second of work, in small pieces. */
const maxPhotos = 2000;
const maxVerdicts = 3000;

/** Counts one cosine similarity; rounding may put it a little beyond -1 or 1. */
function count(histogram: number[], cosine: number): void {
  const step = Math.min(steps - 1, Math.max(0, Math.floor((cosine + 1) * (steps / 2) + 1e-6)));
  histogram[step] = (histogram[step] ?? 0) + 1;
}

/**
 * Compares the tenant's people with each other by the pack in use, and counts how its judged matches had scored. Of a
 * library of more than 2,000 photos, people chosen by the hash of their id stand for all: the same ones each time.
 */
export const readCalibration =
  (deps: SearchDeps) =>
  async (caller: Caller): Promise<Calibration> => {
    const { tenantId } = caller;
    const { packId, defaultThreshold } = await packOf(deps)(tenantId);
    const [rows, verdicts] = await deps.database.tenant(
      tenantId,
      async (tx) => [await embeddingsForCalibration(tx, tenantId, packId), await latestVerdicts(tx, tenantId, packId)] as const,
    );
    const seal = await embeddingSealOf(deps)(tenantId);
    const chosen = rows.slice(0, maxPhotos).map(({ person_id, photo_id, embedding }) => ({
      person_id,
      embedding: seal.open({ personId: person_id, photoId: photo_id, packId }, embedding),
    }));
    const pairs = await comparePairs(chosen);
    const scores = await scoresOf(deps.analytics, tenantId, verdicts);
    const judged = { confirmed: new Array<number>(steps).fill(0), rejected: new Array<number>(steps).fill(0) };
    for (const { search_id, match_id, verdict } of verdicts) {
      const score = scores.get(`${search_id} ${match_id}`);
      if (score !== undefined) count(judged[verdict], score);
    }
    const people = new Set(chosen.map((row) => row.person_id)).size;
    // No picture is shown, but everybody's face was compared.
    const look = { action: 'calibration.viewed', subject: packId, details: { people, photos: chosen.length } };
    await deps.database.tenant(tenantId, (tx) => deps.audit(tx, { ...who(caller), ...look }));
    return { packId, defaultThreshold, people, photos: chosen.length, sampled: rows.length > maxPhotos, ...pairs, ...judged };
  };

interface EmbeddingRow {
  readonly person_id: string;
  /** Little-endian float32, L2-normalised. */
  readonly embedding: Buffer;
}

/** One more than is compared, to know that there are more. */
const embeddingsForCalibration = (
  tx: Tx,
  tenantId: string,
  packId: string,
): Promise<{ person_id: string; photo_id: string; embedding: SealedEmbedding }[]> =>
  tx.query(
    `SELECT f.person_id, e.photo_id, e.embedding FROM search.photos f JOIN search.embeddings e ON e.photo_id = f.id
     WHERE f.tenant_id = $1 AND e.pack_id = $2 AND e.embedding IS NOT NULL ORDER BY md5(f.person_id::text), f.id LIMIT $3`,
    [tenantId, packId, maxPhotos + 1],
  );

const latestVerdicts = (
  tx: Tx,
  tenantId: string,
  packId: string,
): Promise<{ search_id: string; match_id: string; verdict: 'confirmed' | 'rejected' }[]> =>
  tx.query(
    `SELECT v.search_id, v.match_id, v.verdict FROM search.verdicts v JOIN search.searches s ON s.id = v.search_id
     WHERE v.tenant_id = $1 AND s.pack_id = $2 AND v.verdict <> 'unreviewed' ORDER BY v.set_at DESC LIMIT $3`,
    [tenantId, packId, maxVerdicts],
  );

async function comparePairs(rows: readonly EmbeddingRow[]): Promise<Pick<Calibration, 'samePerson' | 'differentPeople'>> {
  const samePerson = new Array<number>(steps).fill(0);
  const differentPeople = new Array<number>(steps).fill(0);
  const vectors = rows.map(({ embedding }) => Float32Array.from({ length: embedding.length / 4 }, (_, i) => embedding.readFloatLE(i * 4)));
  for (const [i, a] of vectors.entries()) {
    for (let j = i + 1; j < vectors.length; j++) {
      const b = vectors[j] as Float32Array;
      let cosine = 0;
      for (let k = 0; k < a.length; k++) cosine += (a[k] as number) * (b[k] as number);
      count(rows[i]?.person_id === rows[j]?.person_id ? samePerson : differentPeople, cosine);
    }
    // Other requests are answered in between.
    if (i % 20 === 19) await breathe();
  }
  return { samePerson, differentPeople };
}
