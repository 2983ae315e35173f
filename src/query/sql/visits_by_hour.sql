-- Answers: visits by hour of the day, 0 to 23, all 24
-- Takes: range, zone, filters, bots
-- Reads: events
-- Costs: one scan of the range; exact distinct visits per hour
SELECT toHour(event_time, {zone:String}) AS hour, uniqExact(cityHash64(session_id)) AS visits
FROM events
WHERE /*filter*/
GROUP BY hour
ORDER BY hour WITH FILL FROM 0 TO 24
