/**
 * Unknown JSON → an event in its canonical form, or the reason why not.
 * Driven by `FIELDS`: a field is added there and nowhere else. The rules for people who send are
 * in docs/events.md. Parsing what was parsed gives the same again.
 */
import { blankEvent, type Event, FIELDS, type Item, type Json, type SentField } from './event.ts';
import { isCleanText, type Read, readerOf } from './read.ts';
import type { Reason, Rejection } from './rejection.ts';

/** What one event may hold. The event itself is the first level of depth. */
export const EVENT_LIMITS = {
  bytesMax: 65_536,
  depthMax: 16,
  propertiesMax: 255,
  itemsMax: 100,
} as const;

/** Names that belong to the pipeline: a sender's value is refused, never silently replaced. */
export const RESERVED = [
  'v',
  'project_id',
  'received_at',
  'bot',
  'outcome',
  'log_id',
  'log_partition',
  'log_offset',
  'batch_id',
] as const;

/** An event before the steps have put in what is not sent. */
export type Draft = Omit<Event, 'event_id' | 'session_id' | 'visitor_id' | 'event_time'> &
  Partial<Pick<Event, 'event_id' | 'session_id' | 'visitor_id' | 'event_time'>>;

/** What the collector knows of every event of a request. */
export interface Receipt {
  project_id: string;
  received_at: number;
  /** The body holds a `\u` escape: only then can a text hold NUL or half of a surrogate pair. */
  escaped: boolean;
}

/** Other names of fields, first wins; a field's own name wins over all of them. */
const ALIASES: readonly (readonly [string, SentField])[] = [
  ['add_to_cart_product_id', 'product_id'],
  ['add_to_cart_quantity', 'quantity'],
  ['add_to_cart_masterCategory', 'master_category'],
  ['add_to_cart_subCategory', 'sub_category'],
  ['purchased_product_id', 'product_id'],
  ['purchased_quantity', 'quantity'],
  ['purchased_masterCategory', 'master_category'],
  ['purchased_subCategory', 'sub_category'],
  ['masterCategory', 'master_category'],
  ['subCategory', 'sub_category'],
];

const ITEM_FIELDS = [
  'product_id',
  'quantity',
  'item_price',
  'master_category',
  'sub_category',
] satisfies (SentField & keyof Item)[];

type Meaning = { is: 'field'; read: Read } | { is: 'items' | 'properties' | 'alias' | 'reserved' };

const READERS = new Map<string, Read>();
const MEANINGS = new Map<string, Meaning>();
for (const [name, { kind }] of Object.entries(FIELDS)) {
  if (kind.is === 'items' || kind.is === 'properties') MEANINGS.set(name, { is: kind.is });
  else {
    const read = readerOf(kind);
    READERS.set(name, read);
    MEANINGS.set(name, { is: 'field', read });
  }
}
for (const [name] of ALIASES) MEANINGS.set(name, { is: 'alias' });
for (const name of RESERVED) MEANINGS.set(name, { is: 'reserved' });

const ITEM_ALIASES = ALIASES.slice(-2);
const ITEM_NAMES = new Set<string>([...ITEM_FIELDS, ...ITEM_ALIASES.map(([name]) => name)]);
const ITEM_READERS = [...READERS].filter(([name]) => ITEM_NAMES.has(name));

/** The event that `input` describes, or the first reason found for refusing it. */
export function parseEvent(input: unknown, receipt: Receipt): Draft | Rejection {
  if (!isObject(input)) return { reason: 'not_an_object', field: '' };
  const event: Values = blankEvent(receipt.project_id, receipt.received_at);
  let further: [string, unknown][] | undefined;
  let aliased = false;
  for (const name in input) {
    const value = input[name];
    if (isAbsent(value)) continue;
    const meaning = MEANINGS.get(name);
    if (meaning === undefined) {
      further ??= [];
      further.push([name, value]);
    } else if (meaning.is === 'field') {
      const result = meaning.read(value, receipt.escaped);
      if (typeof result === 'object') return { reason: result.reason, field: name };
      event[name] = result;
    } else if (meaning.is === 'alias') aliased = true;
    else if (meaning.is === 'reserved') return { reason: 'reserved', field: name };
  }
  if (event.event_name === undefined) return { reason: 'missing', field: 'event_name' };

  const refused =
    (aliased ? readAliases(input, ALIASES, event, receipt.escaped) : undefined) ??
    readItems(input, event, receipt.escaped) ??
    readProperties(input, event, further, receipt.escaped);
  // Every value has passed the reader of its field, and the one needed field is there.
  return refused ?? (event as unknown as Draft);
}

/** The id a sender gave, where it can be read whatever else is wrong with the event. */
export function readEventId(input: unknown): string | undefined {
  if (!isObject(input)) return undefined;
  const value = input.event_id;
  if (isAbsent(value)) return undefined;
  const id = READERS.get('event_id')?.(value, true);
  return typeof id === 'string' ? id : undefined;
}

export type Values = Record<string, unknown>;

export function isObject(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Null and the empty text say nothing, as does a missing key. */
export function isAbsent(value: unknown): boolean {
  return value === null || value === '' || value === undefined;
}

function readAliases(
  input: Values,
  aliases: typeof ALIASES,
  into: Values,
  escaped: boolean,
): Rejection | undefined {
  for (const [name, field] of aliases) {
    const value = input[name];
    const read = READERS.get(field);
    if (isAbsent(value) || into[field] !== undefined || read === undefined) continue;
    const result = read(value, escaped);
    if (typeof result === 'object') return { reason: result.reason, field: name };
    into[field] = field === 'product_id' ? withoutPoint(String(result)) : result;
  }
  return undefined;
}

/** `15311.0`: tables with empty cells write whole numbers so, and these names come from tables. */
function withoutPoint(id: string): string {
  return /^\d+\.0+$/.test(id) ? id.slice(0, id.indexOf('.')) : id;
}

function readItems(input: Values, event: Values, escaped: boolean): Rejection | undefined {
  const { items } = input;
  if (isAbsent(items)) return undefined;
  if (!Array.isArray(items)) return { reason: 'wrong_type', field: 'items' };
  if (items.length > EVENT_LIMITS.itemsMax) return { reason: 'too_many_items', field: 'items' };
  if (items.length === 0) return undefined;
  const read: Values[] = [];
  for (const input of items as unknown[]) {
    if (!isObject(input)) return { reason: 'wrong_type', field: 'items' };
    const item: Values = {};
    for (const [name, reader] of ITEM_READERS) {
      if (isAbsent(input[name])) continue;
      const result = reader(input[name], escaped);
      if (typeof result === 'object') return { reason: result.reason, field: `items.${name}` };
      item[name] = result;
    }
    const refused = readAliases(input, ITEM_ALIASES, item, escaped);
    if (refused !== undefined) return { ...refused, field: `items.${refused.field}` };
    read.push(item);
  }
  event.items = read;
  return undefined;
}

/** Items that say more than an item has fields for stay in the properties, as they were sent. */
function saysMore(items: unknown): boolean {
  if (!Array.isArray(items)) return false;
  return items.some((item) => Object.keys(item).some((name) => !ITEM_NAMES.has(name)));
}

function readProperties(
  input: Values,
  event: Values,
  further: [string, unknown][] | undefined,
  escaped: boolean,
): Rejection | undefined {
  const given = isAbsent(input.properties) ? undefined : input.properties;
  if (given !== undefined && !isObject(given)) return { reason: 'wrong_type', field: 'properties' };
  const more = saysMore(input.items) ? [...(further ?? []), ['items', input.items]] : further;
  // Spread and fromEntries define keys, they never assign: `__proto__` is a name like any other.
  const properties: unknown =
    more === undefined ? given : { ...Object.fromEntries(more), ...(given ?? {}) };
  if (properties === undefined || Object.keys(properties as object).length === 0) return undefined;
  const reason = checkJson(properties, 2, { names: 0 }, escaped);
  if (reason !== undefined) return { reason, field: 'properties' };
  event.properties = properties as Json;
  return undefined;
}

function checkJson(
  value: unknown,
  depth: number,
  count: { names: number },
  escaped: boolean,
): Reason | undefined {
  if (typeof value === 'string') return escaped && !isCleanText(value) ? 'bad_text' : undefined;
  // `1e999` is JSON, but no number: it would be written as null.
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : 'out_of_range';
  if (typeof value !== 'object' || value === null) return undefined;
  if (depth > EVENT_LIMITS.depthMax) return 'too_deep';
  if (Array.isArray(value)) {
    for (const element of value) {
      const reason = checkJson(element, depth + 1, count, escaped);
      if (reason !== undefined) return reason;
    }
    return undefined;
  }
  for (const name in value) {
    if (++count.names > EVENT_LIMITS.propertiesMax) return 'too_many_properties';
    if (escaped && !isCleanText(name)) return 'bad_text';
    const reason = checkJson((value as Values)[name], depth + 1, count, escaped);
    if (reason !== undefined) return reason;
  }
  return undefined;
}
