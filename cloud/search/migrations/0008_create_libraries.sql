-- A tenant as search knows it; one without a row is older than the table, and enabled.
CREATE TABLE search.libraries (
  tenant_id uuid CONSTRAINT libraries_pkey PRIMARY KEY,
  -- As tenant.updated.v1 last said: searches run for an enabled one only.
  state text NOT NULL,
  changed_at timestamptz NOT NULL DEFAULT now()
);
SELECT platform.protect('search.libraries');
