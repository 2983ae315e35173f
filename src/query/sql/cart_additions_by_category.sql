-- Answers: products put into the cart, by category and sub-category
-- Takes: range, filters, bots
-- Reads: items of additions to the cart
-- Costs: the additions to the cart of the range
SELECT
    if(events.master_category = '', 'unknown', events.master_category) AS master_category,
    if(events.sub_category = '', 'unknown', events.sub_category) AS sub_category,
    count() AS additions
FROM items AS events
WHERE event_name = 'ADD_TO_CART' AND /*filter*/
GROUP BY master_category, sub_category
ORDER BY additions DESC, master_category, sub_category
