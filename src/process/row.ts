/**
 * Bytes of the log in, rows of the table `records` out, in the order of `COLUMNS`.
 * Pure: no clock and no randomness, so that a record gives the same row whenever it is read again.
 * What is written is checked here, so that no row depends on how this language takes a wrong value:
 * there are processors in others, and docs/rows.md is what all of them do.
 */
import { type Event, FIELDS, type Item, type Kind } from '../event/event.ts';
import { TIME_MS_MAX, TIME_MS_MIN } from '../event/read.ts';
import { PAYLOAD_BYTES_MAX, type Rejected } from '../event/rejection.ts';
import { type ReadEvent, readProjectId } from '../event/wire.ts';
import type { Value } from '../store/store.ts';

/** Where a record lies for ever, and the batch that brought it into the store. */
export interface Place {
  log_id: number;
  log_partition: number;
  log_offset: number;
  batch_id: number;
  /** The writer of the partition; a row of an earlier one is refused by the store. */
  owner: number;
}

export const COLUMNS = [
  'outcome',
  'project_id',
  'event_id',
  'session_id',
  'visitor_id',
  'customer_id',
  'sequence',
  'event_time',
  'sent_at',
  'received_at',
  'event_name',
  'properties',
  'url',
  'host',
  'path',
  'title',
  'referrer',
  'referrer_host',
  'channel',
  'utm_source',
  'utm_medium',
  'utm_campaign',
  'utm_term',
  'utm_content',
  'device_type',
  'os',
  'browser',
  'language',
  'screen',
  'country',
  'bot',
  'traffic_source',
  'search_keywords',
  'product_id',
  'quantity',
  'item_price',
  'master_category',
  'sub_category',
  'promo_code',
  'promo_amount',
  'currency',
  'value',
  'items',
  'booking_id',
  'payment_method',
  'payment_status',
  'gender',
  'birthdate',
  'log_id',
  'log_partition',
  'log_offset',
  'batch_id',
  'owner',
  'reason',
  'field',
  'payload',
] as const;

/**
 * The row of an event that is counted.
 * @throws TypeError when the record holds something else than an event may.
 */
export function storedRow({ event: e, propertiesText }: ReadEvent, place: Place): Value[] {
  return [
    'stored',
    text(e.project_id),
    text(e.event_id),
    text(e.session_id),
    text(e.visitor_id),
    textOf(e.customer_id),
    wholeOf(e.sequence, SEQUENCE) ?? 0,
    timeText(e.event_time),
    isAbsent(e.sent_at) ? null : timeText(e.sent_at),
    timeText(e.received_at),
    text(e.event_name),
    propertiesOf(e.properties, propertiesText),
    textOf(e.url),
    textOf(e.host),
    textOf(e.path),
    textOf(e.title),
    textOf(e.referrer),
    textOf(e.referrer_host),
    textOf(e.channel),
    textOf(e.utm_source),
    textOf(e.utm_medium),
    textOf(e.utm_campaign),
    textOf(e.utm_term),
    textOf(e.utm_content),
    textOf(e.device_type),
    textOf(e.os),
    textOf(e.browser),
    textOf(e.language),
    textOf(e.screen),
    textOf(e.country),
    textOf(e.bot),
    textOf(e.traffic_source),
    textOf(e.search_keywords),
    textOf(e.product_id),
    wholeOf(e.quantity, QUANTITY),
    amountOf(e.item_price),
    textOf(e.master_category),
    textOf(e.sub_category),
    textOf(e.promo_code),
    amountOf(e.promo_amount),
    textOf(e.currency),
    amountOf(e.value),
    itemsOf(e.items),
    textOf(e.booking_id),
    textOf(e.payment_method),
    textOf(e.payment_status),
    textOf(e.gender),
    isAbsent(e.birthdate) ? null : text(e.birthdate),
    ...placeValues(place),
    '',
    '',
    '',
  ];
}

/** The row of a repeated event: its ids and its place, nothing else. */
export function duplicateRow(e: Event, place: Place): Value[] {
  return sparseRow({
    outcome: 'duplicate',
    project_id: text(e.project_id),
    event_id: text(e.event_id),
    event_time: timeText(e.event_time),
    received_at: timeText(e.received_at),
    ...place,
  });
}

/** The row of an event that was refused, by the collector or by a later step. */
export function rejectedRow(r: Rejected, place: Place): Value[] {
  return sparseRow({
    outcome: 'rejected',
    project_id: text(r.project_id),
    event_id: text(r.event_id),
    event_time: timeText(r.received_at),
    received_at: timeText(r.received_at),
    reason: text(r.reason),
    field: text(r.field),
    payload: text(r.payload),
    ...place,
  });
}

/** What is kept of a record that cannot be decoded, or that the store refuses by itself. */
export function unprocessable(bytes: Uint8Array, timeMs: number): Rejected {
  const payload = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    project_id: readProjectId(bytes),
    event_id: '',
    reason: 'unprocessable',
    field: '',
    // Of a log that others can write to: whatever it is, the record must find its row.
    received_at: Math.min(Math.max(timeMs, TIME_MS_MIN), TIME_MS_MAX),
    payload: payload.subarray(0, PAYLOAD_BYTES_MAX).toString('utf8'),
  };
}

const SEQUENCE = FIELDS.sequence.kind;
const QUANTITY = FIELDS.quantity.kind;

/** The record says nothing there. */
function isAbsent(value: unknown): value is undefined | null {
  return value === undefined || value === null;
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw new TypeError('not a text');
  return value;
}

function textOf(value: unknown): string {
  return isAbsent(value) ? '' : text(value);
}

/** A decimal text, which ClickHouse reads without a floating point. */
function amountOf(value: unknown): string | null {
  return isAbsent(value) ? null : text(value);
}

function wholeOf(value: unknown, kind: Kind): number | null {
  if (isAbsent(value)) return null;
  const isWhole = typeof value === 'number' && Number.isInteger(value);
  if (!isWhole || kind.is !== 'integer' || value < kind.min || value > kind.max)
    throw new TypeError('not a whole number of the column');
  return value;
}

/** As they stand in the record, so that nothing of them can change on the way. */
function propertiesOf(value: unknown, written: string): string {
  if (isAbsent(value)) return '';
  if (typeof value !== 'object' || Array.isArray(value)) throw new TypeError('not an object');
  return written;
}

/** A few bytes of a record become a hundred of a row: a long list could make one of any size. */
const ITEMS_MAX = 1_000;

function itemsOf(value: unknown): Value[] {
  if (isAbsent(value)) return [];
  if (!Array.isArray(value)) throw new TypeError('not a list');
  if (value.length > ITEMS_MAX) throw new TypeError('too many items');
  return value.map(itemTuple);
}

/** A named tuple, which ClickHouse reads from a JSON object. */
function itemTuple(item: Item): Value {
  if (typeof item !== 'object' || Array.isArray(item)) throw new TypeError('not an object');
  return {
    product_id: textOf(item.product_id),
    quantity: wholeOf(item.quantity, QUANTITY),
    item_price: amountOf(item.item_price),
    master_category: textOf(item.master_category),
    sub_category: textOf(item.sub_category),
  };
}

function placeValues(place: Place): Value[] {
  return [place.log_id, place.log_partition, place.log_offset, place.batch_id, place.owner];
}

const EMPTY: Readonly<Record<string, Value>> = { sequence: 0, items: [] };
const NULLABLE = new Set<string>([
  'sent_at',
  'quantity',
  'item_price',
  'promo_amount',
  'value',
  'birthdate',
]);

function sparseRow(values: Readonly<Record<string, Value>>): Value[] {
  return COLUMNS.map(
    (column) => values[column] ?? EMPTY[column] ?? (NULLABLE.has(column) ? null : ''),
  );
}

const DAY_MS = 86_400_000;
const TWO_DIGITS = Array.from({ length: 60 }, (_, n) => String(n).padStart(2, '0'));
/** The day that was written last, and its text: the next time is most likely of the same one. */
let lastDay = { startMs: Number.NaN, text: '' };

/** `yyyy-mm-dd hh:mm:ss.mmm` in UTC, as ClickHouse reads a DateTime64(3) without guessing. */
function timeText(ms: number): string {
  if (!Number.isInteger(ms) || ms < TIME_MS_MIN || ms > TIME_MS_MAX)
    throw new TypeError('not a time');
  const startMs = Math.floor(ms / DAY_MS) * DAY_MS;
  if (startMs !== lastDay.startMs)
    lastDay = { startMs, text: new Date(startMs).toISOString().slice(0, 10) };
  const inDay = ms - startMs;
  const [h, m, s] = [
    Math.floor(inDay / 3_600_000),
    Math.floor(inDay / 60_000) % 60,
    Math.floor(inDay / 1000) % 60,
  ];
  const millis = String(inDay % 1000).padStart(3, '0');
  return `${lastDay.text} ${TWO_DIGITS[h]}:${TWO_DIGITS[m]}:${TWO_DIGITS[s]}.${millis}`;
}
