-- Answers: how much happened: events, page views, visitors, visits, orders, revenue, conversion
-- Takes: range, filters, bots
-- Reads: events
-- Costs: one scan of the range; exact distinct counts of visitors and visits
WITH
    cityHash64(session_id) AS visit,
    event_name = 'BOOKING' AND booking_id != '' AS is_order,
    coalesce(value, item_price * quantity, arraySum(i -> ifNull(i.item_price * i.quantity, 0), items)) AS amount
SELECT
    count() AS events,
    countIf(event_name IN ('page_view', 'HOMEPAGE', 'ITEM_DETAIL', 'PROMO_PAGE')) AS page_views,
    uniqExact(cityHash64(visitor_id)) AS visitors,
    uniqExact(visit) AS visits,
    uniqExactIf(booking_id, is_order) AS orders,
    toString(sumIf(amount, is_order AND payment_status = 'Success')) AS revenue,
    if(visits = 0, 0, uniqExactIf(visit, is_order) / visits) AS conversion
FROM events
WHERE /*filter*/
