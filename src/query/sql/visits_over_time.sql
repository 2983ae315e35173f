-- Answers: visits over time, without holes (a visit counts in every bucket it has an event in)
-- Takes: range, interval, zone, filters, bots
-- Reads: events
-- Costs: one scan of the range; exact distinct visits per bucket
SELECT formatDateTime(bucket, '%F %T') AS time, visits
FROM
(
    SELECT
        toStartOfInterval(event_time, /*interval*/, {zone:String}) AS bucket,
        uniqExact(cityHash64(session_id)) AS visits
    FROM events
    WHERE /*filter*/
    GROUP BY bucket
    ORDER BY bucket WITH FILL
        FROM toStartOfInterval(fromUnixTimestamp64Milli({from:Int64}, 'UTC'), /*interval*/, {zone:String})
        TO toStartOfInterval(fromUnixTimestamp64Milli({to:Int64} - 1, 'UTC'), /*interval*/, {zone:String}) + /*interval*/
        STEP /*interval*/
)
