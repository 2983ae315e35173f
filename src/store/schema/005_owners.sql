-- One writer for each partition of a log: a processor writes its number here before it works, and
-- from then on a row that comes with another number is refused when its block is written.
-- docs/decisions/0006-fence.md. The key is log_id * 65536 + log_partition; the last row counts.
CREATE TABLE IF NOT EXISTS owners
(
    log_key UInt64,
    owner   UInt64
)
ENGINE = Join(ANY, LEFT, log_key)
SETTINGS join_any_take_last_row = 1;

ALTER TABLE records
    ADD COLUMN IF NOT EXISTS owner UInt64 CODEC(ZSTD(1)),
    ADD CONSTRAINT IF NOT EXISTS fence
        CHECK owner = joinGet('owners', 'owner', toUInt64(log_id) * 65536 + log_partition);
