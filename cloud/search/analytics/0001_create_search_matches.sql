-- One row per match however often a box reports it: equal keys are collapsed, and reads say FINAL for what a merge
-- has not reached yet. A match id names the face in its frame, so a repetition always falls into the same day.
CREATE TABLE IF NOT EXISTS search_matches (
  tenant_id UUID,
  search_id UUID,
  match_id String,
  task_id UUID,
  edge_id UUID,
  camera_id UUID,
  person_id UUID,
  sighting_id String,
  at DateTime64(3, 'UTC'),
  score Float32,
  quality Float32,
  box Array(Float32),
  frame_width UInt32,
  frame_height UInt32
)
ENGINE = ReplacingMergeTree
PARTITION BY toDate(at)
ORDER BY (tenant_id, search_id, match_id);
