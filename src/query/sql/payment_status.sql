-- Answers: how payments ended: orders by payment status
-- Takes: range, filters, bots
-- Reads: bookings
-- Costs: the bookings of the range
SELECT
    if(events.payment_status = '', 'unknown', events.payment_status) AS payment_status,
    uniqExact(booking_id) AS orders
FROM events
WHERE event_name = 'BOOKING' AND booking_id != '' AND /*filter*/
GROUP BY payment_status
ORDER BY orders DESC, payment_status
