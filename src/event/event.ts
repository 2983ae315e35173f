/**
 * The event, field by field: the words that every stage, the tables and the questions share.
 *
 * `Event` is the canonical form: what the collector writes to the log and what processors read.
 * Names are the column names of the store. An absent value is an absent key, never null.
 * `FIELDS` says for each field what a sender may put there; `parse.ts` checks against it and
 * docs/events.md is printed from it.
 */

export type Json = string | number | boolean | null | Json[] | { [name: string]: Json };

/** One product of an event with several. Money as in `Event`. */
export interface Item {
  product_id?: string;
  quantity?: number;
  item_price?: string;
  master_category?: string;
  sub_category?: string;
}

/** A canonical event. Times are milliseconds since 1970 (UTC), money is a decimal text. */
export interface Event {
  /** Version of this form; processors refuse one they do not know. */
  v: 1;

  // identity
  project_id: string;
  /** The key of deduplication within its project; the collector makes one if the sender did not. */
  event_id: string;
  session_id: string;
  visitor_id: string;
  customer_id?: string;
  /** The sender's own counter within the session: the order of events of one millisecond. */
  sequence?: number;

  // time
  /** When it happened: the device's time, corrected by the clock offset of its batch. */
  event_time: number;
  /** When the sender says it sent the batch, by the device's clock. */
  sent_at?: number;
  /** When the collector received it, by the collector's clock. */
  received_at: number;

  // what
  event_name: string;
  /** Everything the sender added that has no field of its own. */
  properties?: { [name: string]: Json };

  // where on the site
  url?: string;
  host?: string;
  path?: string;
  title?: string;
  referrer?: string;
  referrer_host?: string;
  channel?: string;
  utm_source?: string;
  utm_medium?: string;
  utm_campaign?: string;
  utm_term?: string;
  utm_content?: string;

  // who, coarse
  device_type?: string;
  os?: string;
  browser?: string;
  language?: string;
  screen?: string;
  country?: string;
  /** Why this looks like a machine; absent for people. Kept and flagged, never dropped. */
  bot?: string;
  traffic_source?: string;

  // shop
  search_keywords?: string;
  product_id?: string;
  quantity?: number;
  item_price?: string;
  master_category?: string;
  sub_category?: string;
  promo_code?: string;
  promo_amount?: string;
  currency?: string;
  value?: string;
  items?: Item[];

  // booking
  booking_id?: string;
  payment_method?: string;
  payment_status?: string;
  gender?: string;
  /** yyyy-mm-dd */
  birthdate?: string;
}

/**
 * An event of which nothing is known yet, with every field and in the order in which records hold
 * them: an object that always has the same shape is filled and read in half the time of one that
 * grows. An undefined field is not written.
 */
export function blankEvent(
  project_id: string,
  received_at: number,
): { [name in keyof Event]-?: Event[name] | undefined } {
  return {
    v: 1,
    project_id,
    event_id: undefined,
    session_id: undefined,
    visitor_id: undefined,
    customer_id: undefined,
    sequence: undefined,
    event_time: undefined,
    sent_at: undefined,
    received_at,
    event_name: undefined,
    properties: undefined,
    url: undefined,
    host: undefined,
    path: undefined,
    title: undefined,
    referrer: undefined,
    referrer_host: undefined,
    channel: undefined,
    utm_source: undefined,
    utm_medium: undefined,
    utm_campaign: undefined,
    utm_term: undefined,
    utm_content: undefined,
    device_type: undefined,
    os: undefined,
    browser: undefined,
    language: undefined,
    screen: undefined,
    country: undefined,
    bot: undefined,
    traffic_source: undefined,
    search_keywords: undefined,
    product_id: undefined,
    quantity: undefined,
    item_price: undefined,
    master_category: undefined,
    sub_category: undefined,
    promo_code: undefined,
    promo_amount: undefined,
    currency: undefined,
    value: undefined,
    items: undefined,
    booking_id: undefined,
    payment_method: undefined,
    payment_status: undefined,
    gender: undefined,
    birthdate: undefined,
  };
}

/**
 * What a sender may put into a field.
 * - `text`: a string of at most `charsMax` UTF-16 units; a number is taken as its text
 * - `integer`: a whole number from `min` to `max`, or its text
 * - `money`: a decimal number or its text, below 10^14, kept to four places
 * - `time`: milliseconds since 1970, or ISO 8601, or `yyyy-mm-dd hh:mm:ss` (UTC)
 * - `date`: `yyyy-mm-dd` from 1900-01-01 to 2299-12-31
 * - `items`, `properties`: see `Item` and `Event.properties`
 */
export type Kind =
  | { is: 'text'; charsMax: number }
  | { is: 'integer'; min: number; max: number }
  | { is: 'money' }
  | { is: 'time' }
  | { is: 'date' }
  | { is: 'items' }
  | { is: 'properties' };

/** The fields that a sender may set. The rest of `Event` is put in by the collector. */
export type SentField = Exclude<keyof Event, 'v' | 'project_id' | 'received_at' | 'bot'>;

const text = (charsMax: number): Kind => ({ is: 'text', charsMax });
const money: Kind = { is: 'money' };
const time: Kind = { is: 'time' };

export const FIELDS: Record<SentField, { kind: Kind; says: string }> = {
  event_name: { kind: text(128), says: 'what happened; the only field that is needed' },
  event_id: { kind: text(128), says: 'unique for the event; a repeated one is counted once' },
  event_time: { kind: time, says: 'when it happened, by the clock of the device' },
  sent_at: { kind: time, says: 'when it was sent, by the same clock; corrects a wrong clock' },
  session_id: { kind: text(128), says: 'the visit' },
  visitor_id: { kind: text(128), says: 'the browser or device, if you keep such an id' },
  customer_id: { kind: text(128), says: 'the signed-in customer' },
  sequence: { kind: { is: 'integer', min: 0, max: 4294967295 }, says: 'counter in the session' },
  properties: { kind: { is: 'properties' }, says: 'anything else, as a JSON object' },
  url: { kind: text(8192), says: 'address of the page' },
  host: { kind: text(255), says: 'host of the address; from `url` if absent' },
  path: { kind: text(8192), says: 'path of the address; from `url` if absent' },
  title: { kind: text(1024), says: 'title of the page' },
  referrer: { kind: text(8192), says: 'address of the page before' },
  referrer_host: { kind: text(255), says: 'host of the referrer; from `referrer` if absent' },
  channel: { kind: text(64), says: 'kind of source; from campaign and referrer if absent' },
  utm_source: { kind: text(255), says: 'campaign source; from `url` if absent' },
  utm_medium: { kind: text(255), says: 'campaign medium; from `url` if absent' },
  utm_campaign: { kind: text(255), says: 'campaign name; from `url` if absent' },
  utm_term: { kind: text(255), says: 'campaign term; from `url` if absent' },
  utm_content: { kind: text(255), says: 'campaign content; from `url` if absent' },
  device_type: {
    kind: text(64),
    says: 'desktop, mobile, tablet, tv; from the user agent if absent',
  },
  os: { kind: text(64), says: 'operating system; from the user agent if absent' },
  browser: { kind: text(64), says: 'browser; from the user agent if absent' },
  language: { kind: text(64), says: 'language of the browser, as in `en-GB`' },
  screen: { kind: text(32), says: 'size of the screen, as in `1920x1080`' },
  country: { kind: text(2), says: 'ISO 3166 code of two letters; from the address if absent' },
  traffic_source: { kind: text(64), says: 'WEB, MOBILE, …' },
  search_keywords: { kind: text(1024), says: 'what was searched for' },
  product_id: { kind: text(128), says: 'the product' },
  quantity: { kind: { is: 'integer', min: -2147483648, max: 2147483647 }, says: 'how many' },
  item_price: { kind: money, says: 'price of one' },
  master_category: { kind: text(128), says: 'category of the product' },
  sub_category: { kind: text(128), says: 'category below it' },
  promo_code: { kind: text(128), says: 'code of a promotion' },
  promo_amount: { kind: money, says: 'what the promotion takes off' },
  currency: { kind: text(16), says: 'ISO 4217 code of all amounts of this event' },
  value: { kind: money, says: 'worth of the event as a whole' },
  items: { kind: { is: 'items' }, says: 'several products, each with the product fields' },
  booking_id: { kind: text(128), says: 'the order' },
  payment_method: { kind: text(64), says: 'how it is paid' },
  payment_status: { kind: text(64), says: 'Success, Failed, …' },
  gender: { kind: text(32), says: 'of the customer' },
  birthdate: { kind: { is: 'date' }, says: 'of the customer' },
};
