-- `items`: what was put into carts and ordered, one row a product. The columns are those of `events`;
-- the ones about a product are of this product, from the event's `items` or, without them, from itself.
CREATE VIEW IF NOT EXISTS items AS
SELECT
    events.* EXCEPT (product_id, quantity, item_price, master_category, sub_category, items),
    item.1 AS product_id,
    item.2 AS quantity,
    item.3 AS item_price,
    item.4 AS master_category,
    item.5 AS sub_category
FROM events
ARRAY JOIN if(
    empty(items),
    [(events.product_id, events.quantity, events.item_price, CAST(events.master_category, 'String'), CAST(events.sub_category, 'String'))],
    items
) AS item
WHERE event_name IN ('ADD_TO_CART', 'BOOKING');
