/**
 * A refused event → the event as its sender would send it now, or why it cannot be sent.
 *
 * It is checked with the collector's own parser, and by the clock of its first arrival: sent again
 * as it was, its `sent_at` would look like a clock that is hours behind, and move the event to
 * today. So the time is corrected here, and `sent_at` stays behind.
 */
import { correctClock } from '../../collect/steps/correct-clock.ts';
import type { Json } from '../../event/event.ts';
import {
  EVENT_LIMITS,
  isAbsent,
  isObject,
  parseEvent,
  RESERVED,
  type Values,
} from '../../event/parse.ts';
import { PAYLOAD_BYTES_MAX, type Rejection } from '../../event/rejection.ts';
import { type Refused, receivedMs } from './refused.ts';

/** What to change in every event. Names are paths: `properties.size` is `['properties', 'size']`. */
export interface Mending {
  set: readonly { path: string[]; value: Json }[];
  remove: readonly string[][];
}

/** `json`: the event, to be sent. `lost`: why nothing can be done about it. */
export type Mended = { json: string } | { refused: Rejection } | { lost: string };

export function mend(row: Refused, mending: Mending): Mended {
  const payload = readJson(row.payload);
  const input =
    row.reason === 'unprocessable' && isObject(payload) && payload.v === 1
      ? asSent(payload)
      : payload;
  if (input === undefined) return { lost: whyNoJson(row.payload) };
  return isObject(input)
    ? check(change(input, mending), row)
    : { refused: { reason: 'not_an_object', field: '' } };
}

function check(input: Values, row: Refused): Mended {
  const received_at = receivedMs(row);
  const event = isAbsent(input.event_id) ? { ...input, event_id: row.event_id } : input;
  const draft = parseEvent(event, { project_id: row.project_id, received_at, escaped: true });
  if ('reason' in draft) return { refused: draft };
  const refused = correctClock({
    projectId: row.project_id,
    receivedAtMs: received_at,
    sentAtMs: undefined,
    address: '',
    userAgent: '',
    fromPage: false,
  })(draft);
  if (refused !== undefined) return { refused };
  const json = JSON.stringify({
    ...without(event, ['sent_at']),
    event_time: draft.event_time ?? received_at,
  });
  return Buffer.byteLength(json) > EVENT_LIMITS.bytesMax
    ? { refused: { reason: 'too_large', field: '' } }
    : { json };
}

/**
 * What was sent, of a record of the log: without what the pipeline has put in and would refuse. Its
 * time is corrected already, so the sender's clock goes as well. The record of a refused event
 * holds what was sent as a text.
 */
function asSent(record: Values): unknown {
  const { rejected } = record;
  if (isObject(rejected)) return readJson(String(rejected.payload));
  return without(record, [...RESERVED, 'sent_at']);
}

function change(input: Values, { set, remove }: Mending): Values {
  const rest = remove.reduce(taken, input);
  return set.reduce((event, { path, value }) => put(event, path, value), rest);
}

/** Nothing is put into what is no object: the event stays as it is, and the parser decides. */
function put(object: Values, [name = '', ...rest]: string[], value: Json): Values {
  if (rest.length === 0) return { ...object, [name]: value };
  const inner = Object.hasOwn(object, name) && !isAbsent(object[name]) ? object[name] : {};
  return isObject(inner) ? { ...object, [name]: put(inner, rest, value) } : object;
}

function taken(object: Values, [name = '', ...rest]: string[]): Values {
  if (rest.length === 0) return without(object, [name]);
  const inner = Object.hasOwn(object, name) ? object[name] : undefined;
  return isObject(inner) ? { ...object, [name]: taken(inner, rest) } : object;
}

/** `fromEntries` defines keys, it never assigns: `__proto__` is a name like any other. */
function without(object: Values, names: readonly string[]): Values {
  return Object.fromEntries(Object.entries(object).filter(([name]) => !names.includes(name)));
}

/** The value of a JSON text, undefined when it is none. */
export function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** A cut never ends within a character, so it may be up to three bytes short. */
function whyNoJson(payload: string): string {
  return Buffer.byteLength(payload) > PAYLOAD_BYTES_MAX - 4
    ? `the payload was cut at ${PAYLOAD_BYTES_MAX} bytes`
    : 'the payload is not JSON';
}
