-- Answers: orders by gender of the customer and category of the product (an order counts in each of its categories)
-- Takes: range, filters, bots
-- Reads: bookings, their items unfolded
-- Costs: the bookings of the range
SELECT
    if(events.gender = '', 'unknown', events.gender) AS gender,
    if(category = '', 'unknown', category) AS master_category,
    uniqExact(booking_id) AS orders
FROM events
ARRAY JOIN if(empty(items), [CAST(events.master_category, 'String')], arrayMap(i -> i.master_category, items)) AS category
WHERE event_name = 'BOOKING' AND booking_id != '' AND /*filter*/
GROUP BY gender, master_category
ORDER BY gender, orders DESC, master_category
