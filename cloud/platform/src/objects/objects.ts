import type { Readable } from 'node:stream';

export interface ObjectInfo {
  readonly key: string;
  readonly sizeBytes: number;
  readonly contentType: string;
}

/** Object storage. Keys are `{tenantId}/…`; every call names the tenant and a key of another tenant is refused. */
export interface Objects {
  put(tenantId: string, key: string, body: Buffer, contentType: string): Promise<void>;
  get(tenantId: string, key: string): Promise<{ info: ObjectInfo; body: Readable } | undefined>;
  head(tenantId: string, key: string): Promise<ObjectInfo | undefined>;
  delete(tenantId: string, key: string): Promise<void>;
  /** An address that allows exactly this verb on exactly this key until it expires. */
  signedUrl(tenantId: string, key: string, verb: 'GET' | 'PUT', options: { expiresInS: number; maxBytes?: number; contentType?: string }): Promise<string>;
}
