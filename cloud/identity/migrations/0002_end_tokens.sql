-- Whose access tokens were ended before they ran out, and how far. No row: nobody's ever were. It outlives its user.
CREATE TABLE identity.token_ends (
  tenant_id uuid NOT NULL,
  -- As the provider names users: one elsewhere need not use uuids.
  user_id text CONSTRAINT token_ends_pkey PRIMARY KEY,
  -- What the embedded provider's tokens must carry since then. No clock, so none can be wrong.
  mark uuid NOT NULL,
  -- For a provider whose tokens carry no mark: whatever was issued up to here is ended.
  ended_at timestamptz NOT NULL
);
SELECT platform.protect('identity.token_ends');
