import { isAbsolute } from 'node:path';
import { type AgentError, streaming, unary } from '@dipper/platform';
import { mizar } from '@stardipper/proto';
import { z } from 'zod';
import { embedPhoto } from './embed-photo';
import { indexSegment } from './index-segment';
import type { FaceIndex } from './index-store/face-index.store';
import type { PackFaces } from './index-store/forget.store';
import type { Query } from './match/best-matches';
import { type Match, matchSightings } from './match-sightings';
import { mizarErrors } from './mizar.errors';
import { contentSha256, defaultThreshold } from './pack/pack';
import type { Eyes } from './start-mizar';

const id = z.string().regex(/^[\w.:-]{1,64}$/);
const moment = z.int().nonnegative().max(8_640_000_000_000_000);
/** A span longer than a day is no segment, and no one question to an index either: Merak asks camera by camera. */
const MAX_SEGMENT_MS = 24 * 3_600_000;

const indexRequest = z
  .object({
    path: z
      .string()
      .min(1)
      .max(4096)
      .refine((p) => isAbsolute(p) && !p.includes('\0')),
    cameraId: id,
    fromMs: moment,
    toMs: moment,
    packId: id,
    dryRun: z.boolean(),
  })
  .refine((r) => r.fromMs < r.toMs && r.toMs - r.fromMs <= MAX_SEGMENT_MS, { path: ['toMs'] });
const range = { cameraId: id, fromMs: moment, toMs: moment, packId: id };
const coverageRequest = z.object(range).refine((r) => r.fromMs < r.toMs, { path: ['toMs'] });
const matchRequest = z
  .object({
    ...range,
    threshold: z.number().min(0).max(1),
    persons: z
      .array(z.object({ personId: id, embeddings: z.array(z.instanceof(Buffer)).min(1).max(64) }))
      .min(1)
      .max(1024),
  })
  .refine((r) => r.fromMs < r.toMs, { path: ['toMs'] });
const forgetRequest = z.object({
  packs: z
    .array(z.object({ packId: id, threshold: z.number().min(0).max(1), embeddings: z.array(z.instanceof(Buffer)).min(1).max(64) }))
    .max(64),
});
const footageRequest = z.object({ cameraId: id, beforeMs: moment });
const photoRequest = z.object({ packId: z.string(), image: z.instanceof(Buffer).refine((b) => b.length > 0) });

function parse<T>(schema: z.ZodType<T>, request: unknown): T {
  const parsed = schema.safeParse(request);
  if (parsed.success) return parsed.data;
  throw mizarErrors.requestInvalid(parsed.error.issues[0]?.path.join('.') ?? '');
}

export interface MizarServiceDeps {
  readonly index: FaceIndex;
  /** The pack, the workers and the decoder; throws why they are not there. */
  readonly eyes: () => Eyes;
  /** Waits for a turn: only so many segments are worked on at a time. */
  readonly turn: <T>(signal: AbortSignal, work: () => Promise<T>) => Promise<T>;
  /** Counts what was refused or failed, by code. */
  readonly failed: (error: unknown) => void;
}

/** The gRPC face of Mizar: checks what comes in, and puts what goes out into messages. */
export function mizarService(deps: MizarServiceDeps): mizar.MizarServiceServer {
  const eyesFor = (packId: string): Eyes => {
    const eyes = deps.eyes();
    if (eyes.pack.id !== packId) throw mizarErrors.packMismatch(packId.slice(0, 64), eyes.pack.id);
    return eyes;
  };
  return {
    getPack: unary((): mizar.GetPackResponse => {
      const { pack } = deps.eyes();
      return {
        packId: pack.id,
        dimension: pack.embedder.dimension,
        minFacePx: pack.minFacePx,
        defaultThreshold: defaultThreshold(pack),
        licence: pack.licence,
        contentSha256: contentSha256(pack),
      };
    }),
    indexSegment: unary(async (request: mizar.IndexSegmentRequest, signal): Promise<mizar.IndexSegmentResponse> => {
      const wanted = parse(indexRequest, request);
      const eyes = eyesFor(wanted.packId);
      return deps.turn(signal, () => index(deps, eyes, wanted, signal));
    }),
    getCoverage: unary((request: mizar.GetCoverageRequest): mizar.GetCoverageResponse => {
      const { cameraId, packId, fromMs, toMs } = parse(coverageRequest, request);
      return { spans: deps.index.coverage(cameraId, packId, fromMs, toMs) };
    }),
    matchSightings: streaming((request: mizar.MatchSightingsRequest, signal) => match(deps.index, request, signal)),
    embedPhoto: unary(async (request: mizar.EmbedPhotoRequest): Promise<mizar.EmbedPhotoResponse> => {
      const { image, packId } = parse(photoRequest, request);
      const eyes = packId === '' ? deps.eyes() : eyesFor(packId);
      const face = await embedPhoto(eyes.pool, eyes.pack, image);
      const embedding = Buffer.from(face.embedding.buffer, face.embedding.byteOffset, face.embedding.byteLength);
      return { packId: eyes.pack.id, embedding, box: toBox(face.box), quality: face.quality, crop: Buffer.from(face.crop) };
    }),
    forgetFaces: unary(async (request: mizar.ForgetFacesRequest): Promise<mizar.ForgetFacesResponse> => {
      const { packs } = parse(forgetRequest, request);
      return { sightings: await deps.index.forget(packs.map(toPackFaces)) };
    }),
    listIndexedCameras: unary((): mizar.ListIndexedCamerasResponse => ({ cameras: deps.index.cameras() })),
    forgetFootage: unary(async (request: mizar.ForgetFootageRequest): Promise<mizar.ForgetFootageResponse> => {
      const { cameraId, beforeMs } = parse(footageRequest, request);
      return { days: await deps.index.forgetFootage(cameraId, beforeMs) };
    }),
    readCrop: unary(async ({ sightingId }: mizar.ReadCropRequest): Promise<mizar.ReadCropResponse> => {
      return { jpeg: Buffer.from(await deps.index.readCrop(String(sightingId))) };
    }),
  };
}

async function index(
  deps: MizarServiceDeps,
  eyes: Eyes,
  wanted: z.infer<typeof indexRequest>,
  signal: AbortSignal,
): Promise<mizar.IndexSegmentResponse> {
  try {
    const done = await indexSegment({ ...eyes, index: deps.index }, wanted, signal);
    return {
      coveredFromMs: done.coveredFromMs,
      coveredToMs: done.coveredToMs,
      keyframesDecoded: done.framesAnalysed,
      sightings: done.sightings,
      samplingMs: done.samplingMs,
      codec: done.segment.codec,
      frameWidth: done.segment.width,
      frameHeight: done.segment.height,
      decodeMs: Math.round(done.decodeMs),
      totalMs: Math.round(done.totalMs),
    };
  } catch (error) {
    deps.failed(error as AgentError);
    throw error;
  }
}

async function* match(
  store: FaceIndex,
  request: mizar.MatchSightingsRequest,
  signal: AbortSignal,
): AsyncGenerator<mizar.MatchSightingsResponse> {
  const { persons, ...question } = parse(matchRequest, request);
  const bytes = vectorBytes(persons[0]!.embeddings[0]!, 'persons.0.embeddings.0');
  const queries = persons.map((p, i) => toQuery(p.personId, p.embeddings, bytes, i));
  for await (const page of matchSightings(store, { ...question, dimension: bytes / 4, queries }, signal))
    yield { matches: page.map(toMessage) };
}

const MAX_DIMENSION = 2048;

function vectorBytes(embedding: Buffer, field: string): number {
  const bytes = embedding.length;
  if (bytes === 0 || bytes % 4 !== 0 || bytes > 4 * MAX_DIMENSION) throw mizarErrors.requestInvalid(field);
  return bytes;
}

/** Embeddings of all persons must be of one length, finite and of unit length to a rounding. */
const toQuery = (personId: string, embeddings: readonly Buffer[], bytes: number, person: number): Query => ({
  personId,
  embeddings: unitVectors(embeddings, bytes, `persons.${person}.embeddings`),
});

function toPackFaces({ packId, threshold, embeddings }: z.infer<typeof forgetRequest>['packs'][number], pack: number): PackFaces {
  const field = `packs.${pack}.embeddings`;
  const bytes = vectorBytes(embeddings[0]!, `${field}.0`);
  return { packId, threshold, dimension: bytes / 4, embeddings: unitVectors(embeddings, bytes, field) };
}

function unitVectors(embeddings: readonly Buffer[], bytes: number, field: string): Float32Array {
  const all = new Float32Array((bytes / 4) * embeddings.length);
  embeddings.forEach((embedding, i) => {
    if (embedding.length !== bytes) throw mizarErrors.requestInvalid(`${field}.${i}`);
    let sum = 0;
    for (let at = 0; at < bytes; at += 4) {
      const value = embedding.readFloatLE(at);
      all[(i * bytes + at) / 4] = value;
      sum += value * value;
    }
    if (!(Math.abs(sum - 1) < 0.01)) throw mizarErrors.requestInvalid(`${field}.${i}`);
  });
  return all;
}

const toBox = ([x, y, width, height]: readonly [number, number, number, number]): mizar.Box => ({ x, y, width, height });

function toMessage(m: Match): mizar.SightingMatch {
  const { sightingId, personId, atMs, score, quality, box, frameWidth, frameHeight } = m;
  return { sightingId, personId, atMs, score, quality, box: toBox(box), frameWidth, frameHeight };
}
