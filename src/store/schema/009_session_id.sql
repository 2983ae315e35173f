-- Visits are counted by reading this column of every row, and LZ4 is unpacked sooner than ZSTD:
-- docs/decisions/0004-table.md. Parts that are there get it when they are merged.
ALTER TABLE records
    MODIFY COLUMN session_id String CODEC(LZ4);
