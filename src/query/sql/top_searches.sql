-- Answers: what was searched for, most searches first
-- Takes: range, limit, filters, bots
-- Reads: events with search keywords
-- Costs: the searches of the range
SELECT search_keywords, count() AS searches, uniqExact(cityHash64(visitor_id)) AS visitors
FROM events
WHERE search_keywords != '' AND /*filter*/
GROUP BY search_keywords
ORDER BY searches DESC, search_keywords
LIMIT {limit:UInt32}
