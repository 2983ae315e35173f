/**
 * What can be asked, and the row that answers. A question has one name from its SQL file to its
 * chart: `top_pages` is sql/top_pages.sql, `GET …/top_pages` and panels/TopPages.tsx.
 * The dashboard imports these types and nothing else of the server.
 *
 * Common words: a page view is an event named page_view, HOMEPAGE, ITEM_DETAIL or PROMO_PAGE;
 * a visit is a `session_id`; an order is a distinct `booking_id` of BOOKING events; money is a
 * decimal text; `time` is the start of a bucket, `yyyy-mm-dd hh:mm:ss` in the zone asked for.
 */

export interface Rows {
  totals: {
    events: number;
    page_views: number;
    visitors: number;
    visits: number;
    orders: number;
    /** Of bookings paid with success: `value`, else price times quantity. */
    revenue: string;
    /** Visits with an order per visit, 0 to 1. */
    conversion: number;
  };
  events_over_time: { time: string; events: number; visits: number };
  events_by_name: { event_name: string; events: number; visits: number };
  top_pages: { path: string; views: number; visitors: number };
  top_searches: { search_keywords: string; searches: number; visitors: number };
  top_channels: { channel: string; visits: number; orders: number };
  total_orders: { orders: number };
  ordering_customers: { customers: number };
  payment_status: { payment_status: string; orders: number };
  payment_status_by_method: { payment_method: string; payment_status: string; orders: number };
  orders_by_gender_and_category: { gender: string; master_category: string; orders: number };
  orders_by_category: { master_category: string; sub_category: string; orders: number };
  web_vs_mobile: { traffic_source: string; visits: number };
  /** weekday: 1 (Monday) to 7; always seven rows. */
  visits_by_weekday: { weekday: number; visits: number };
  /** hour: 0 to 23; always 24 rows. */
  visits_by_hour: { hour: number; visits: number };
  visits_over_time: { time: string; visits: number };
  cart_additions_by_category: { master_category: string; sub_category: string; additions: number };
}

export type Question = keyof Rows;

export interface Freshness {
  /** Every event received before this time is in the answer; ISO 8601. */
  stored_until: string;
  /** Age of `stored_until` when the answer was made. */
  behind_ms: number;
}

export interface Answer<Q extends Question> {
  columns: { name: string; type: string }[];
  rows: Rows[Q][];
  freshness: Freshness;
  took_ms: number;
}

/** Server-sent events of `GET …/live`: one `snapshot`, then `delta`s, each with changed rows only. */
export interface LiveMinute {
  /** Start of the minute, milliseconds since 1970. */
  time: number;
  events: number;
  page_views: number;
  visits: number;
  orders: number;
  revenue: string;
}

export interface LiveUpdate {
  /** Snapshot: the last 60 minutes. Delta: minutes that changed, absolute values. */
  minutes: LiveMinute[];
  now: {
    /** Distinct visitors with an event in the last 5 minutes. */
    visitors: number;
    /** Events of the last 10 seconds, per second. */
    events_per_second: number;
    /** Last 10 minutes: visits with a filled cart, with a booking, with a booking paid. */
    carts: number;
    bookings: number;
    paid: number;
  };
  /** The last events stored, newest first, at most 20. */
  latest: {
    event_time: number;
    event_name: string;
    path: string;
    country: string;
    traffic_source: string;
  }[];
  behind_ms: number;
}
