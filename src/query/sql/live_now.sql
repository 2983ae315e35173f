-- Answers: who is there now: visitors, events per second, and how far visits have come
-- Takes: to (now), filters, bots
-- Reads: events of the last ten minutes
-- Costs: one scan of ten minutes, once a second
WITH
    event_name = 'BOOKING' AND booking_id != '' AS is_order
SELECT
    uniqExactIf(visitor_id, event_time >= fromUnixTimestamp64Milli({to:Int64} - 300000, 'UTC')) AS visitors,
    countIf(received_at >= fromUnixTimestamp64Milli({to:Int64} - 10000, 'UTC')) / 10 AS events_per_second,
    uniqExactIf(session_id, event_name = 'ADD_TO_CART') AS carts,
    uniqExactIf(session_id, is_order) AS bookings,
    uniqExactIf(session_id, is_order AND payment_status = 'Success') AS paid
FROM events
WHERE event_time >= fromUnixTimestamp64Milli({to:Int64} - 600000, 'UTC')
    AND /*scope*/
