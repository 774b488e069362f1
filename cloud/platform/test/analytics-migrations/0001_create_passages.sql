-- Faces seen; a report that is delivered again replaces the row.
CREATE TABLE IF NOT EXISTS passages (
  tenant_id UUID,
  id String,
  camera LowCardinality(String),
  seen_at DateTime64(3, 'UTC'),
  score Float32,
  version UInt64
) ENGINE = ReplacingMergeTree(version)
PARTITION BY toDate(seen_at)
ORDER BY (tenant_id, id)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS passages_per_camera (tenant_id UUID, camera LowCardinality(String), passages UInt64)
ENGINE = SummingMergeTree ORDER BY (tenant_id, camera)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS passages_per_camera_view TO passages_per_camera AS
SELECT tenant_id, camera, count() AS passages FROM passages GROUP BY tenant_id, camera;
