-- What people read. `events`: what counts. `rejected_events`: what was refused, and why.
-- `ecommerce_clickstream_data`: the 18 columns of the original table, an absent value is NULL.
CREATE VIEW IF NOT EXISTS events AS
SELECT * EXCEPT (outcome, reason, field, payload)
FROM records
WHERE outcome = 'stored';

CREATE VIEW IF NOT EXISTS rejected_events AS
SELECT project_id, event_id, received_at, reason, field, payload, log_id, log_partition, log_offset, batch_id
FROM records
WHERE outcome = 'rejected';

CREATE VIEW IF NOT EXISTS ecommerce_clickstream_data AS
SELECT
    session_id,
    event_id,
    CAST(event_name, 'String') AS event_name,
    toDateTime(event_time, 'UTC') AS event_time,
    CAST(nullIf(traffic_source, ''), 'Nullable(String)') AS traffic_source,
    nullIf(search_keywords, '') AS search_keywords,
    nullIf(booking_id, '') AS booking_id,
    nullIf(customer_id, '') AS customer_id,
    CAST(nullIf(gender, ''), 'Nullable(String)') AS gender,
    birthdate,
    CAST(item_price, 'Nullable(Float32)') AS item_price,
    CAST(nullIf(payment_method, ''), 'Nullable(String)') AS payment_method,
    CAST(nullIf(payment_status, ''), 'Nullable(String)') AS payment_status,
    toInt32OrNull(product_id) AS product_id,
    quantity,
    CAST(nullIf(master_category, ''), 'Nullable(String)') AS masterCategory,
    CAST(nullIf(sub_category, ''), 'Nullable(String)') AS subCategory,
    batch_id
FROM events;
