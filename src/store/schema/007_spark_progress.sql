-- How the Spark job does: one row after a micro-batch, at most one a second and log. For operators
-- only, nothing is counted from it: a lost row is no loss, so it is not flushed at once, and the files
-- of merged parts are not kept for long. They are looked for often, since each second leaves one.
--   batch         Spark's own number of the micro-batch; it begins anew with each start of the job
--   input_rate    records a second that arrive; process_rate: that are processed
--   batch_ms      of the whole micro-batch; insert_ms: of its inserts
--   lag           records on the topic behind the micro-batch
CREATE TABLE IF NOT EXISTS spark_progress
(
    at            DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    log_id        UInt32 CODEC(ZSTD(1)),
    batch         UInt64 CODEC(Delta, ZSTD(1)),
    rows          UInt64 CODEC(ZSTD(1)),
    input_rate    Float64 CODEC(ZSTD(1)),
    process_rate  Float64 CODEC(ZSTD(1)),
    batch_ms      UInt32 CODEC(ZSTD(1)),
    insert_ms     UInt32 CODEC(ZSTD(1)),
    lag           UInt64 CODEC(ZSTD(1)),
    executors     UInt16 CODEC(ZSTD(1))
)
ENGINE = MergeTree
ORDER BY (log_id, at)
TTL toDateTime(at) + INTERVAL 1 DAY
SETTINGS
    old_parts_lifetime = 10,
    cleanup_delay_period = 10,
    max_cleanup_delay_period = 30;
