-- Answers: the numbers as they move: per minute since `from`, and the latest events
-- Takes: from, to (now), filters, bots
-- Reads: events since `from`
-- Costs: a snapshot scans 60 minutes, a tick the last two
WITH
    event_name = 'BOOKING' AND booking_id != '' AS is_order,
    is_order AND payment_status = 'Success' AS is_paid,
    coalesce(value, item_price * quantity, arraySum(i -> ifNull(i.item_price * i.quantity, 0), items)) AS amount
SELECT
(
    SELECT groupArray((time, events, page_views, visits, orders, revenue))
    FROM
    (
        SELECT
            toUnixTimestamp(toStartOfMinute(event_time)) * 1000 AS time,
            count() AS events,
            countIf(event_name IN ('page_view', 'HOMEPAGE', 'ITEM_DETAIL', 'PROMO_PAGE')) AS page_views,
            uniqExact(cityHash64(session_id)) AS visits,
            uniqExactIf(booking_id, is_order) AS orders,
            toString(sumIf(amount, is_paid)) AS revenue
        FROM events
        WHERE /*filter*/
        GROUP BY time
        ORDER BY time
    )
) AS minutes,
(
    SELECT groupArray((toUnixTimestamp64Milli(event_time), event_name, path, country, traffic_source))
    FROM
    (
        SELECT event_time, event_name, path, country, traffic_source
        FROM events
        WHERE event_time >= fromUnixTimestamp64Milli({to:Int64} - 60000, 'UTC')
            AND /*scope*/
        ORDER BY event_time DESC, sequence DESC
        LIMIT 20
    )
) AS latest
