-- Answers: how many different customers ordered
-- Takes: range, filters, bots
-- Reads: bookings of known customers
-- Costs: the bookings of the range
SELECT uniqExact(customer_id) AS customers
FROM events
WHERE event_name = 'BOOKING' AND booking_id != '' AND customer_id != '' AND /*filter*/
