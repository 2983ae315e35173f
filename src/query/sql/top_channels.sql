-- Answers: where visits came from and how many of them ordered; a visit belongs to its first channel
-- Takes: range, limit, filters, bots
-- Reads: events
-- Costs: one scan of the range, grouped by visit
SELECT if(first_channel = '', 'unknown', first_channel) AS channel, count() AS visits, sum(visit_orders) AS orders
FROM
(
    SELECT
        argMinIf(events.channel, (events.event_time, events.sequence), events.channel != '') AS first_channel,
        uniqExactIf(events.booking_id, events.event_name = 'BOOKING' AND events.booking_id != '') AS visit_orders
    FROM events
    WHERE /*filter*/
    GROUP BY events.session_id
)
GROUP BY channel
ORDER BY visits DESC, channel
LIMIT {limit:UInt32}
