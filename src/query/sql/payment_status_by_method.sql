-- Answers: how payments ended, by payment method
-- Takes: range, filters, bots
-- Reads: bookings
-- Costs: the bookings of the range
SELECT
    if(events.payment_method = '', 'unknown', events.payment_method) AS payment_method,
    if(events.payment_status = '', 'unknown', events.payment_status) AS payment_status,
    uniqExact(booking_id) AS orders
FROM events
WHERE event_name = 'BOOKING' AND booking_id != '' AND /*filter*/
GROUP BY payment_method, payment_status
ORDER BY payment_method, payment_status
