-- Answers: events and visits by event name, most events first
-- Takes: range, limit, filters, bots
-- Reads: events
-- Costs: one scan of the range; exact distinct visits per name
SELECT event_name, count() AS events, uniqExact(cityHash64(session_id)) AS visits
FROM events
WHERE /*filter*/
GROUP BY event_name
ORDER BY events DESC, event_name
LIMIT {limit:UInt32}
