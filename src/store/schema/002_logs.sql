-- The small number of each log, given once: offsets are only compared within one log.
CREATE TABLE IF NOT EXISTS logs
(
    log_id     UInt32,
    log        String,
    created_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree
ORDER BY log_id
SETTINGS
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    min_rows_to_fsync_after_merge = 1,
    min_compressed_bytes_to_fsync_after_merge = 1,
    old_parts_lifetime = 480;
