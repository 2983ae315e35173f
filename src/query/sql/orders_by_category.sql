-- Answers: orders by category and sub-category (an order counts in each of its categories)
-- Takes: range, filters, bots
-- Reads: items of bookings
-- Costs: the bookings of the range
SELECT
    if(events.master_category = '', 'unknown', events.master_category) AS master_category,
    if(events.sub_category = '', 'unknown', events.sub_category) AS sub_category,
    uniqExact(booking_id) AS orders
FROM items AS events
WHERE event_name = 'BOOKING' AND booking_id != '' AND /*filter*/
GROUP BY master_category, sub_category
ORDER BY orders DESC, master_category, sub_category
