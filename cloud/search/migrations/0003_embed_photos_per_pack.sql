-- What each model pack made of each photo: an embedding, or the reason why it has none. A photo without a row for the
-- pack in use waits to be embedded, so that the work left over is what the table says and nothing else needs keeping.
CREATE TABLE search.embeddings (
  tenant_id uuid NOT NULL,
  photo_id uuid NOT NULL CONSTRAINT embeddings_of_photo REFERENCES search.photos (id) ON DELETE CASCADE,
  pack_id text NOT NULL,
  -- Little-endian float32, L2-normalised. Compared on the boxes only, never here.
  embedding bytea,
  -- {code, params}: why the pack makes nothing of the photo, or why it did not yet.
  refusal jsonb,
  -- Set while it is still tried: then it waits. A refusal without it is final.
  retry_at timestamptz,
  attempts integer NOT NULL DEFAULT 1,
  made_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT embeddings_pkey PRIMARY KEY (photo_id, pack_id),
  CONSTRAINT embeddings_outcome CHECK ((embedding IS NULL) <> (refusal IS NULL) AND (retry_at IS NULL OR refusal IS NOT NULL))
);
SELECT platform.protect('search.embeddings');

INSERT INTO search.embeddings (tenant_id, photo_id, pack_id, embedding, made_at)
SELECT tenant_id, id, pack_id, embedding, created_at FROM search.photos;

-- The packs that Star's Mizar has had; the latest is in use. One Mizar embeds for all tenants, so this is nobody's.
CREATE TABLE search.packs (
  pack_id text CONSTRAINT packs_pkey PRIMARY KEY,
  in_use_since timestamptz NOT NULL
);
INSERT INTO search.packs (pack_id, in_use_since) SELECT pack_id, min(created_at) FROM search.photos GROUP BY pack_id;
ALTER TABLE search.photos DROP COLUMN pack_id, DROP COLUMN embedding;

-- When somebody wanted to search for the person and was told to wait: such people come first.
ALTER TABLE search.people ADD COLUMN wanted_at timestamptz;
CREATE INDEX people_wanted ON search.people (wanted_at) WHERE wanted_at IS NOT NULL;
