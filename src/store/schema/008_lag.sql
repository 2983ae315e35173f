-- How far the processor is behind the log: one row about every ten seconds, by each server that has
-- both. For charts only, nothing is counted from it: a lost row is no loss.
--   accepted        records ever appended to the log
--   waiting         those of them that are not processed yet
--   behind_seconds  age of the oldest of these; 0 without one
CREATE TABLE IF NOT EXISTS lag
(
    at              DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    log_id          UInt32 CODEC(ZSTD(1)),
    accepted        UInt64 CODEC(Delta, ZSTD(1)),
    waiting         UInt64 CODEC(ZSTD(1)),
    behind_seconds  Float64 CODEC(ZSTD(1))
)
ENGINE = MergeTree
ORDER BY (log_id, at)
TTL toDateTime(at) + INTERVAL 7 DAY
SETTINGS
    old_parts_lifetime = 60;
