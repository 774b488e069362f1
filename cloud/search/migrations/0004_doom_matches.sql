-- Searches that are gone and whose matches are still in ClickHouse: written with the deletion, removed once they are not.
CREATE TABLE search.doomed_matches (
  search_id uuid CONSTRAINT doomed_matches_pkey PRIMARY KEY,
  tenant_id uuid NOT NULL,
  doomed_at timestamptz NOT NULL DEFAULT now()
);
SELECT platform.protect('search.doomed_matches');
