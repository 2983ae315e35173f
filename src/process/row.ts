/**
 * Bytes of the log in, rows of the table `records` out, in the order of `COLUMNS`.
 * Pure: no clock and no randomness, so that a record gives the same row whenever it is read again.
 */
import type { Event } from '../event/event.ts';
import { PAYLOAD_BYTES_MAX, type Rejected } from '../event/rejection.ts';
import { readProjectId } from '../event/wire.ts';
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

/** The row of an event that is counted. */
export function storedRow(e: Event, place: Place): Value[] {
  return [
    'stored',
    e.project_id,
    e.event_id,
    e.session_id,
    e.visitor_id,
    e.customer_id ?? '',
    e.sequence ?? 0,
    timeText(e.event_time),
    e.sent_at === undefined ? null : timeText(e.sent_at),
    timeText(e.received_at),
    e.event_name,
    e.properties === undefined ? '' : JSON.stringify(e.properties),
    e.url ?? '',
    e.host ?? '',
    e.path ?? '',
    e.title ?? '',
    e.referrer ?? '',
    e.referrer_host ?? '',
    e.channel ?? '',
    e.utm_source ?? '',
    e.utm_medium ?? '',
    e.utm_campaign ?? '',
    e.utm_term ?? '',
    e.utm_content ?? '',
    e.device_type ?? '',
    e.os ?? '',
    e.browser ?? '',
    e.language ?? '',
    e.screen ?? '',
    e.country ?? '',
    e.bot ?? '',
    e.traffic_source ?? '',
    e.search_keywords ?? '',
    e.product_id ?? '',
    e.quantity ?? null,
    e.item_price ?? null,
    e.master_category ?? '',
    e.sub_category ?? '',
    e.promo_code ?? '',
    e.promo_amount ?? null,
    e.currency ?? '',
    e.value ?? null,
    e.items === undefined ? [] : e.items.map(itemTuple),
    e.booking_id ?? '',
    e.payment_method ?? '',
    e.payment_status ?? '',
    e.gender ?? '',
    e.birthdate ?? null,
    ...placeValues(place),
    '',
    '',
    '',
  ];
}

/** The row of a repeated event: its ids and its place, nothing else. */
export function duplicateRow(e: Event, place: Place): Value[] {
  const ids = { outcome: 'duplicate', received_at: timeText(e.received_at), ...place };
  return sparseRow({
    ...ids,
    project_id: e.project_id,
    event_id: e.event_id,
    event_time: timeText(e.event_time),
  });
}

/** The row of an event that was refused, by the collector or by a later step. */
export function rejectedRow(r: Rejected, place: Place): Value[] {
  return sparseRow({
    outcome: 'rejected',
    project_id: r.project_id,
    event_id: r.event_id,
    event_time: timeText(r.received_at),
    received_at: timeText(r.received_at),
    reason: r.reason,
    field: r.field,
    payload: r.payload,
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
    received_at: timeMs,
    payload: payload.subarray(0, PAYLOAD_BYTES_MAX).toString('utf8'),
  };
}

/** A named tuple, which ClickHouse reads from a JSON object. */
function itemTuple(item: NonNullable<Event['items']>[number]): Value {
  return {
    product_id: item.product_id ?? '',
    quantity: item.quantity ?? null,
    item_price: item.item_price ?? null,
    master_category: item.master_category ?? '',
    sub_category: item.sub_category ?? '',
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
