-- Answers: how many orders there were
-- Takes: range, filters, bots
-- Reads: bookings
-- Costs: the bookings of the range
SELECT uniqExact(booking_id) AS orders
FROM events
WHERE event_name = 'BOOKING' AND booking_id != '' AND /*filter*/
