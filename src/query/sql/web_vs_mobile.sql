-- Answers: visits by traffic source (WEB, MOBILE, …)
-- Takes: range, filters, bots
-- Reads: events
-- Costs: one scan of the range; exact distinct visits per source
SELECT
    if(events.traffic_source = '', 'unknown', events.traffic_source) AS traffic_source,
    uniqExact(cityHash64(session_id)) AS visits
FROM events
WHERE /*filter*/
GROUP BY traffic_source
ORDER BY visits DESC, traffic_source
