-- What nearly every question reads of every row of its range is unpacked sooner like this, for few more
-- bytes: docs/decisions/0004-table.md. Parts that are there get it when they are merged.
ALTER TABLE records
    MODIFY COLUMN session_id String CODEC(LZ4),
    MODIFY COLUMN event_time DateTime64(3, 'UTC') CODEC(T64, LZ4);
