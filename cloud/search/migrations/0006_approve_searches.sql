-- A second person's word before a search runs, where the tenant wants it.
ALTER TABLE search.searches DROP CONSTRAINT searches_state;
ALTER TABLE search.searches ADD CONSTRAINT searches_state
  CHECK (state IN ('draft', 'awaiting_approval', 'running', 'finished', 'cancelled', 'failed', 'refused'));

CREATE TABLE search.approvals (
  tenant_id uuid NOT NULL,
  search_id uuid CONSTRAINT approvals_pkey PRIMARY KEY CONSTRAINT approvals_of_search REFERENCES search.searches (id) ON DELETE CASCADE,
  state text NOT NULL CONSTRAINT approvals_state CHECK (state IN ('pending', 'approved', 'refused', 'expired', 'withdrawn')),
  requested_by uuid NOT NULL,
  requested_by_name text NOT NULL,
  requested_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  decided_by uuid,
  decided_by_name text,
  decided_at timestamptz,
  reason text,
  CONSTRAINT approvals_second_person CHECK (decided_by IS DISTINCT FROM requested_by OR state = 'withdrawn')
);
SELECT platform.protect('search.approvals');
CREATE INDEX approvals_by_age ON search.approvals (tenant_id, requested_at DESC, search_id DESC);
CREATE INDEX approvals_pending ON search.approvals (expires_at) WHERE state = 'pending';

-- Whether a tenant wants it; no row: no.
CREATE TABLE search.rules (
  tenant_id uuid CONSTRAINT rules_pkey PRIMARY KEY,
  approval_required boolean NOT NULL
);
SELECT platform.protect('search.rules');
