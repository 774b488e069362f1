-- A tenant as the IoT hub knows it; one without a row is older than the table, and enabled.
CREATE TABLE devices.customers (
  tenant_id uuid CONSTRAINT customers_pkey PRIMARY KEY,
  name text NOT NULL,
  -- As tenant.updated.v1 last said: only boxes of an enabled one may connect.
  state text NOT NULL,
  changed_at timestamptz NOT NULL DEFAULT now()
);
SELECT platform.protect('devices.customers');
