import type { Log, Secret, SigningKey } from '@star/platform';
import type { CryptoKey } from 'jose';
import type { Seal } from './seal';
import type { Upstream } from './upstream';

export interface BridgeOptions {
  /** What browsers and Keycloak reach this process by, without a slash at the end; each service is below `/log-in/<name>`. */
  readonly publicUrl: string;
  readonly services: Readonly<Record<string, BridgedService>>;
  /** Keycloak as the bridge's only client. */
  readonly client: { readonly id: string; readonly secret: Secret };
  /** Signs the id tokens. */
  readonly key: SigningKey;
  /** 32 bytes, the same for all replicas. */
  readonly sealKey: Buffer;
  /** Told who was vouched for and from where they came, and why somebody was not. Never of codes, tokens or secrets. */
  readonly log: Log;
}

export interface BridgedService {
  readonly upstream: Upstream;
  /** Keycloak's broker endpoint, exactly: `https://id.example.org/realms/star/broker/feishu/endpoint`. */
  readonly redirectUri: string;
}

/** One service of the bridge, as the steps of a log-in see it. */
export interface Service extends BridgedService {
  readonly name: string;
  readonly path: string;
  readonly issuer: string;
  readonly seal: Seal;
  /** `options.key`, ready for use. */
  readonly signing: CryptoKey;
  readonly options: BridgeOptions;
}

/** An answer in OAuth's words (RFC 6749, 5.2). */
export class BridgeRefusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
  ) {
    super(code);
  }
}
