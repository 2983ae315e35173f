-- Answers: visits by day of the week, Monday (1) to Sunday (7), all seven
-- Takes: range, zone, filters, bots
-- Reads: events
-- Costs: one scan of the range; exact distinct visits per weekday
SELECT toDayOfWeek(event_time, 0, {zone:String}) AS weekday, uniqExact(cityHash64(session_id)) AS visits
FROM events
WHERE /*filter*/
GROUP BY weekday
ORDER BY weekday WITH FILL FROM 1 TO 8
