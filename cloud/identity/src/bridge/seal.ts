import { EncryptJWT, jwtDecrypt } from 'jose';

/**
 * What the bridge must remember travels with the browser and with Keycloak, encrypted and with an end, so that any
 * replica can take the next step and nothing is stored. `purpose` keeps one kind from being taken for another.
 */
export interface Seal {
  close(purpose: string, content: Record<string, unknown>, lifetimeS: number): Promise<string>;
  /** Undefined for what was not closed here for this purpose, or has ended. */
  open(purpose: string, text: string): Promise<Record<string, unknown> | undefined>;
}

/** @param key 32 random bytes, the same for all replicas */
export function createSeal(key: Buffer): Seal {
  return {
    close: (purpose, content, lifetimeS) =>
      new EncryptJWT({ content })
        .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
        .setAudience(purpose)
        .setExpirationTime(`${lifetimeS}s`)
        .encrypt(key),
    open: async (purpose, text) => {
      if (text.length > 4096) return undefined;
      try {
        const { payload } = await jwtDecrypt(text, key, {
          audience: purpose,
          keyManagementAlgorithms: ['dir'],
          contentEncryptionAlgorithms: ['A256GCM'],
        });
        return payload.content as Record<string, unknown>;
      } catch {
        return undefined;
      }
    },
  };
}
