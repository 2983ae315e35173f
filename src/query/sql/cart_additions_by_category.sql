-- Answers: products put into the cart, by category and sub-category
-- Takes: range, filters, bots
-- Reads: additions to the cart, their items unfolded
-- Costs: the additions to the cart of the range
SELECT
    if(item.1 = '', 'unknown', item.1) AS master_category,
    if(item.2 = '', 'unknown', item.2) AS sub_category,
    count() AS additions
FROM events
ARRAY JOIN if(
    empty(items),
    [(CAST(events.master_category, 'String'), CAST(events.sub_category, 'String'))],
    arrayMap(i -> (i.master_category, i.sub_category), items)
) AS item
WHERE event_name = 'ADD_TO_CART' AND /*filter*/
GROUP BY master_category, sub_category
ORDER BY additions DESC, master_category, sub_category
