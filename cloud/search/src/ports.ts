import type {
  Analytics,
  AreasVisibleTo,
  Audit,
  Database,
  FirstTime,
  FirstTimes,
  LimitsOf,
  Objects,
  RequireStorage,
  Retention,
  TenantKeys,
  WriteEvent,
  WriteEvents,
} from '@star/platform';
import type { devices } from '@stardipper/proto';

export interface EdgeRef {
  readonly edgeId: string;
  readonly edgeName: string;
}

/** What search needs to know of devices (star.v1.DevicesService): in process, or over gRPC. */
export interface EdgeDirectory {
  /** Cameras of the tenant; unknown and foreign ids are left out. No ids means all. */
  listCameras(tenantId: string, cameraIds: readonly string[]): Promise<devices.CameraRef[]>;
  /** Every box of the tenant, online or not. */
  listEdges(tenantId: string): Promise<EdgeRef[]>;
  /** A two-way RPC to a box that is online now; rejects when it is not or does not answer within `timeoutMs`. Answers the reply as JSON text. */
  askEdge(tenantId: string, edgeId: string, method: string, paramsJson: string, timeoutMs: number): Promise<string>;
}

export interface Pack {
  readonly packId: string;
  /** Of what makes its embeddings; another one under the same id is another pack. Empty where the embedder does not say. */
  readonly contentSha256: string;
  /** Cosine similarity from which the pack calls two faces the same person. */
  readonly defaultThreshold: number;
}

/** A package of software that a pack is in. */
export interface PackArchive {
  readonly tenantId: string;
  readonly packageId: string;
  readonly sha256: string;
}

export interface EmbeddedFace {
  readonly packId: string;
  /** Little-endian float32, L2-normalised. */
  readonly embedding: Buffer;
  /** 0 to 1. */
  readonly quality: number;
  /** The shorter side of the face, pixels. */
  readonly facePx: number;
}

/**
 * The same model that runs on the boxes. Rejects with `photo.no_face`, `photo.several_faces`, `photo.face_too_small`,
 * `photo.undecodable`, or `embedder.unavailable` (retry).
 */
export interface FaceEmbedder {
  /** What was in use within the last seconds; while the embedder is away, what was in use before. */
  pack(): Promise<Pack>;
  /** Asks now; rejects with `embedder.unavailable` when nobody answers. */
  packNow(): Promise<Pack>;
  /** With the pack in use, or with `packId` and no other: rejects with `embedder.pack_changed` when that is in use no more. */
  embedPhoto(image: Buffer, packId?: string): Promise<EmbeddedFace>;
}

/** One embedder for each pack. */
export interface Embedders {
  /** With the installation's own pack, which may change while it runs. */
  readonly own: FaceEmbedder;
  /**
   * With the pack in an archive. Nothing starts before it is asked something; it then rejects with `embedder.preparing`
   * until the pack is unpacked and checked, with `embedder.unavailable` while there is no room for it, and for good with
   * what is wrong with the archive.
   */
  of(archive: PackArchive): FaceEmbedder;
}

export interface SearchSettings {
  /** Longest range of one search, ms. */
  readonly maxRangeMs: number;
  /** How long boxes may work on a task, ms. S3 signs no address for longer than seven days. */
  readonly taskLifetimeMs: number;
  /** How long a search waits for a second person's approval, ms. */
  readonly approvalLifetimeMs: number;
  /** How long after expiry Star waits for a box's last reports, ms. */
  readonly expiryGraceMs: number;
  /** How long an estimate waits for a box, ms. */
  readonly estimateTimeoutMs: number;
  /** Decimal text. */
  readonly pricePerCameraHour: string;
  readonly currency: string;
  /** Life of the addresses of photos and crops, seconds. */
  readonly imageUrlSeconds: number;
  /** Between two looks for expired tasks and objects to delete, ms. */
  readonly sweepEveryMs: number;
  /** Between two looks for what is past its time, ms. */
  readonly retentionEveryMs: number;
  /** Between two looks for photos that the pack in use has not seen, ms. */
  readonly embedEveryMs: number;
  /** Between two looks for packs that were assigned, ms; a look costs next to nothing. */
  readonly readyPacksEveryMs: number;
  /** The first pause when a photo cannot be embedded for no fault of its own, ms; each further one is longer. */
  readonly embedBackoffMs: number;
  /** Followers of server-sent events on this replica. */
  readonly maxFollowers: number;
  /** A silent stream says it is alive this often, ms: proxies cut at 30 to 60 s. */
  readonly heartbeatMs: number;
  /** A stream ends after this, ms; the browser comes back with a fresh token and goes on where it was. */
  readonly maxStreamMs: number;
  /** Whether a follower may still see the search is asked this often, ms. */
  readonly recheckMs: number;
}

export const defaultSearchSettings: SearchSettings = {
  maxRangeMs: 31 * 86_400_000,
  taskLifetimeMs: 72 * 3_600_000,
  approvalLifetimeMs: 72 * 3_600_000,
  expiryGraceMs: 3_600_000,
  estimateTimeoutMs: 5_000,
  pricePerCameraHour: '0.10',
  currency: 'CNY',
  imageUrlSeconds: 300,
  sweepEveryMs: 60_000,
  retentionEveryMs: 3_600_000,
  embedEveryMs: 30_000,
  readyPacksEveryMs: 1_000,
  embedBackoffMs: 1_000,
  maxFollowers: 1_000,
  heartbeatMs: 15_000,
  maxStreamMs: 1_800_000,
  recheckMs: 3_000,
};

export interface SearchDeps {
  readonly database: Database;
  readonly analytics: Analytics;
  readonly objects: Objects;
  /** Seal embeddings at rest. */
  readonly tenantKeys: Pick<TenantKeys, 'boxOf'>;
  readonly writeEvent: WriteEvent;
  readonly writeEvents: WriteEvents;
  readonly firstTime: FirstTime;
  readonly firstTimes: FirstTimes;
  readonly edges: EdgeDirectory;
  readonly embedders: Embedders;
  readonly audit: Audit;
  readonly areasVisibleTo: AreasVisibleTo;
  readonly limitsOf: LimitsOf;
  readonly requireStorage: RequireStorage;
  /** Whether the tenant wants a second person's approval before a search runs. */
  readonly needsApproval: (tenantId: string) => Promise<boolean>;
  /** How long the tenant keeps its things, and where it is told what went. */
  readonly retention: Retention;
  readonly now: () => Date;
  readonly settings: SearchSettings;
}
