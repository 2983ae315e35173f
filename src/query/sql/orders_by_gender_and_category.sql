-- Answers: orders by gender of the customer and category of the product (an order counts in each of its categories)
-- Takes: range, filters, bots
-- Reads: items of bookings
-- Costs: the bookings of the range
SELECT
    if(events.gender = '', 'unknown', events.gender) AS gender,
    if(events.master_category = '', 'unknown', events.master_category) AS master_category,
    uniqExact(booking_id) AS orders
FROM items AS events
WHERE event_name = 'BOOKING' AND booking_id != '' AND /*filter*/
GROUP BY gender, master_category
ORDER BY gender, orders DESC, master_category
