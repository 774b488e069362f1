import { maxPayloadBytes } from '@stardipper/proto';

export interface HubSettings {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly maxSessions: number;
  /** Packets of one session being worked on at once; beyond it the socket is not read. */
  readonly maxInFlight: number;
  readonly maxPayloadBytes: number;
  /** What topic and MQTT 5 properties may add to a payload. */
  readonly maxHeaderBytes: number;
  /** For a socket to send its CONNECT and be logged in. */
  readonly connectTimeoutMs: number;
  /** For a session whose client promised no keepalive, and the most any keepalive is worth. */
  readonly inactivityTimeoutMs: number;
  /** A provisioning session lives this long after its last packet and after its answer. */
  readonly provisionTimeoutMs: number;
  /** Per device, `count:seconds,…`; empty: none, as ThingsBoard's default profile. A session beyond them is closed. */
  readonly rateLimits: { readonly messages: string; readonly telemetryMessages: string; readonly telemetryDataPoints: string };
}

export const defaultHubSettings: HubSettings = {
  host: '127.0.0.1',
  port: 1883,
  maxSessions: 10_000,
  maxInFlight: 100,
  maxPayloadBytes,
  maxHeaderBytes: 1024,
  connectTimeoutMs: 10_000,
  inactivityTimeoutMs: 600_000,
  provisionTimeoutMs: 60_000,
  rateLimits: { messages: '', telemetryMessages: '', telemetryDataPoints: '' },
};
