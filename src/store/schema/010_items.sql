-- `items`: what was put into carts and ordered, one row a product. The columns are those of `events`;
-- the ones about a product are of this product, from the event's `items` or, without them, from itself.
-- Of `records`, because a view of a view is resolved twice.
CREATE VIEW IF NOT EXISTS items AS
SELECT
    records.* EXCEPT (outcome, reason, field, payload, owner, product_id, quantity, item_price, master_category, sub_category, items),
    item.1 AS product_id,
    item.2 AS quantity,
    item.3 AS item_price,
    item.4 AS master_category,
    item.5 AS sub_category
FROM records
ARRAY JOIN if(
    empty(items),
    [(records.product_id, records.quantity, records.item_price, CAST(records.master_category, 'String'), CAST(records.sub_category, 'String'))],
    items
) AS item
WHERE outcome = 'stored' AND event_name IN ('ADD_TO_CART', 'BOOKING');
