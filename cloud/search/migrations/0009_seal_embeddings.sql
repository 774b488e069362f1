-- Embeddings are sealed with their tenant's key and bound to tenant, person, photo and pack. Those from before are sealed
-- when Star next starts, before anybody reads them: only a process has the keys.
ALTER TABLE search.embeddings ADD COLUMN sealed boolean NOT NULL DEFAULT false;
ALTER TABLE search.embeddings ALTER COLUMN sealed SET DEFAULT true;
UPDATE search.embeddings SET sealed = true WHERE embedding IS NULL;
CREATE INDEX embeddings_unsealed ON search.embeddings (tenant_id) WHERE NOT sealed;
