import type { EdgeIdentity } from '../edges/edge';
import type { SoftwareSource } from '../ota/serve-chunks';
import type { DeviceSession } from './device-session';
import type { AttributesRequest, TelemetryEntry } from './payloads';
import type { RateLimit } from './rate-limit';

/** What a session needs of the rest of devices. Every promise that resolves means: durable, the device may forget it. */
export interface SessionPorts {
  acceptTelemetry(edge: EdgeIdentity, entries: readonly TelemetryEntry[]): Promise<void>;
  saveClientAttributes(edge: EdgeIdentity, values: ReadonlyMap<string, unknown>): Promise<void>;
  readAttributes(edge: EdgeIdentity, request: AttributesRequest): Promise<Record<string, unknown>>;
  /** The answer to a client-side RPC, whatever it is; a rejection is answered as unavailable. */
  answerCall(edge: EdgeIdentity, method: string, params: unknown): Promise<unknown>;
  /** The device can take RPCs from now on. */
  rpcSubscribed(session: DeviceSession): void;
  acceptReply(session: DeviceSession, requestId: number, replyJson: string, readAt: number): Promise<void>;
  readonly software: SoftwareSource;
  /** Storage could not be read: the device asks again when nothing comes. */
  chunkFailed(session: DeviceSession, error: unknown): void;
  closed(session: DeviceSession): void;
  /** True while Star as a whole cannot take more. */
  overloaded(): boolean;
}

export interface SessionLimits {
  /** Packets being worked on; further ones stay in the socket. */
  readonly maxInFlight: number;
  readonly maxPayloadBytes: number;
}

/** One device's limits; kept by the hub across its reconnects. */
export interface DeviceRates {
  readonly messages: RateLimit;
  readonly telemetryMessages: RateLimit;
  readonly telemetryDataPoints: RateLimit;
}
