-- Answers: pages by views and visitors, most views first
-- Takes: range, limit, filters, bots
-- Reads: events that are page views and have a path
-- Costs: the page views of the range; exact distinct visitors per page
SELECT path, count() AS views, uniqExact(cityHash64(visitor_id)) AS visitors
FROM events
WHERE event_name IN ('page_view', 'HOMEPAGE', 'ITEM_DETAIL', 'PROMO_PAGE') AND path != ''
    AND /*filter*/
GROUP BY path
ORDER BY views DESC, path
LIMIT {limit:UInt32}
