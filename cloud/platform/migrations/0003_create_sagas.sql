CREATE TABLE platform.sagas (
  id uuid CONSTRAINT sagas_pkey PRIMARY KEY,
  tenant_id uuid NOT NULL,
  kind text NOT NULL,
  input jsonb NOT NULL,
  -- AES-256-GCM, bound to the id; forgotten when the saga ends.
  secret_sealed bytea,
  state text NOT NULL CONSTRAINT sagas_state CHECK (state IN ('doing', 'undoing', 'done', 'undone')),
  -- {step, code, params}: why it is undone.
  failure jsonb,
  -- Grows with every claim: whoever was paused past its lease cannot write any more.
  fence bigint NOT NULL DEFAULT 0,
  leased_until timestamptz NOT NULL DEFAULT '-infinity',
  next_try_at timestamptz NOT NULL DEFAULT now(),
  created_at timestamptz NOT NULL DEFAULT now(),
  changed_at timestamptz NOT NULL DEFAULT now(),
  ended_at timestamptz
) WITH (fillfactor = 70);
CREATE INDEX sagas_due ON platform.sagas (next_try_at) WHERE ended_at IS NULL;
CREATE INDEX sagas_of_tenant ON platform.sagas (tenant_id, created_at DESC);
SELECT platform.protect('platform.sagas');

CREATE TABLE platform.saga_steps (
  tenant_id uuid NOT NULL,
  saga_id uuid NOT NULL CONSTRAINT saga_steps_of_saga REFERENCES platform.sagas (id) ON DELETE CASCADE,
  position integer NOT NULL,
  name text NOT NULL,
  state text NOT NULL DEFAULT 'waiting' CONSTRAINT saga_steps_state CHECK (state IN ('waiting', 'doing', 'done', 'failed', 'undoing', 'undone')),
  -- Of doing, and of undoing.
  attempts integer NOT NULL DEFAULT 0,
  undo_attempts integer NOT NULL DEFAULT 0,
  -- What doing it answered, for the steps after it and for its undo.
  result jsonb,
  -- {code, params} of the last try that failed.
  error jsonb,
  started_at timestamptz,
  ended_at timestamptz,
  CONSTRAINT saga_steps_pkey PRIMARY KEY (saga_id, position)
) WITH (fillfactor = 70);
SELECT platform.protect('platform.saga_steps');
