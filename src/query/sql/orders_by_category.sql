-- Answers: orders by category and sub-category (an order counts in each of its categories)
-- Takes: range, filters, bots
-- Reads: bookings, their items unfolded
-- Costs: the bookings of the range
SELECT
    if(item.1 = '', 'unknown', item.1) AS master_category,
    if(item.2 = '', 'unknown', item.2) AS sub_category,
    uniqExact(booking_id) AS orders
FROM events
ARRAY JOIN if(
    empty(items),
    [(CAST(events.master_category, 'String'), CAST(events.sub_category, 'String'))],
    arrayMap(i -> (i.master_category, i.sub_category), items)
) AS item
WHERE event_name = 'BOOKING' AND booking_id != '' AND /*filter*/
GROUP BY master_category, sub_category
ORDER BY orders DESC, master_category, sub_category
