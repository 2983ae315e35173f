-- What was taken out of `records` on purpose, written before it is taken out: it is counted as
-- removed, and never put back. docs/decisions/0007-removals.md
--   erased   one row for each record, with its place; `id_hash` of a stored one is the SHA-256 of its
--            project and event id, so that a copy that comes later is still recognised
--   expired  one row for all records of a minute that a time limit took: `rows` places, the last of
--            them `log_offset`, received before `expired_before`
CREATE TABLE IF NOT EXISTS removals
(
    removal_id      UUID,
    kind            Enum8('erased' = 1, 'expired' = 2),
    project_id      LowCardinality(String),
    log_id          UInt32,
    log_partition   UInt16,
    log_offset      UInt64 CODEC(ZSTD(1)),
    received_at     DateTime64(3, 'UTC') CODEC(ZSTD(1)),
    rows            UInt64 CODEC(ZSTD(1)),
    id_hash         String CODEC(ZSTD(1)),
    expired_before  DateTime64(3, 'UTC'),
    recorded_at     DateTime64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY (kind, log_id, log_partition, log_offset, received_at)
SETTINGS
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1,
    old_parts_lifetime = 480;
