import type { SecretBox, TenantKeys } from '@star/platform';
import { searchError } from '../search.errors';

/** What an embedding is of; sealed, it cannot be opened as that of anything else. */
export interface EmbeddingOwner {
  readonly personId: string;
  readonly photoId: string;
  readonly packId: string;
}

/** As it lies in the database. */
export type SealedEmbedding = Buffer & { readonly sealed: unique symbol };

export interface EmbeddingSeal {
  seal(owner: EmbeddingOwner, embedding: Buffer): SealedEmbedding;
  /** Throws `photo.embedding_unreadable` when it was changed or belongs to something else. */
  open(owner: EmbeddingOwner, sealed: SealedEmbedding): Buffer;
}

/** Throws `tenant.erased`. A tenant has a few hundred thousand embeddings at most, far from what random nonces bear. */
export const embeddingSealOf =
  ({ tenantKeys }: { readonly tenantKeys: Pick<TenantKeys, 'boxOf'> }) =>
  async (tenantId: string): Promise<EmbeddingSeal> => {
    const box = await tenantKeys.boxOf(tenantId, 'embeddings');
    const bound = ({ personId, photoId, packId }: EmbeddingOwner) => `${tenantId} ${personId} ${photoId} ${packId}`;
    return {
      seal: (owner, embedding) => box.sealBytes(embedding, bound(owner)) as SealedEmbedding,
      open: (owner, sealed) => opened(box, sealed, bound(owner), owner.photoId),
    };
  };

function opened(box: SecretBox, sealed: Buffer, boundTo: string, photoId: string): Buffer {
  try {
    return box.openBytes(sealed, boundTo);
  } catch (error) {
    throw searchError('photo.embedding_unreadable', { photoId }, error);
  }
}
