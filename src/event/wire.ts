/**
 * The two kinds of record on the log and their bytes: one JSON object a record, UTF-8, versioned.
 * The same bytes lie in a segment file and on Kafka, and both processors read them.
 * An event is `{"v":1,"project_id":…,"event_id":…,…}`; a refused one is
 * `{"v":1,"rejected":{"project_id":…,"event_id":…,"reason":…,"field":…,"received_at":…,"payload":…}}`.
 * docs/rows.md says what is read, for those who read them in another language.
 */
import { isUtf8 } from 'node:buffer';
import type { Event } from './event.ts';
import { memberText } from './member-text.ts';
import type { Rejected } from './rejection.ts';

export type WireRecord = { event: Event } | { rejected: Rejected };

/** An event as it was read. */
export interface ReadEvent {
  event: Event;
  /** The properties as they stand in the record; empty without them. */
  propertiesText: string;
}

/** The record's key on the log: what its partition is chosen by. */
export function recordKey(projectId: string, eventId: string): string {
  return `${projectId}\0${eventId}`;
}

/** The bytes of a record. */
export function encodeRecord(record: WireRecord): Buffer {
  return Buffer.from(
    JSON.stringify('event' in record ? record.event : { v: 1, rejected: record.rejected }),
  );
}

/**
 * The record in `bytes`. Of an event only the ids are checked; `process/row.ts` checks what it writes.
 * @throws SyntaxError when the bytes are not JSON in UTF-8, RangeError when the version is not known,
 *   TypeError when an event has no ids, or a text holds half of a surrogate pair.
 */
export function decodeRecord(bytes: Uint8Array): ReadEvent | { rejected: Rejected } {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  // What is not UTF-8 has become U+FFFD on the way, which a sender may have written as well.
  if (text.includes('\ufffd') && !isUtf8(bytes)) throw new SyntaxError('the record is not UTF-8');
  const record = JSON.parse(text) as
    | (Event & { rejected?: undefined })
    | { v: 1; rejected: Rejected };
  if (record.v !== 1) throw new RangeError(`the record has version ${String(record.v)}, not 1`);
  // In UTF-8 only an escape can bring half of a pair.
  if (text.includes('\\u') && hasHalfPair(record, 2))
    throw new TypeError('a text of the record holds half of a surrogate pair');
  if (record.rejected !== undefined) return { rejected: record.rejected };
  const { project_id, event_id, properties } = record;
  if (typeof project_id !== 'string' || typeof event_id !== 'string')
    throw new TypeError('the record has no project or no id');
  const isSent = properties !== undefined && properties !== null;
  const propertiesText = isSent ? (memberText(text, 'properties') ?? '') : '';
  return { event: record, propertiesText };
}

/**
 * Among the record's texts, those of `rejected` and those of items. Properties are copied as they
 * stand, with their escapes.
 */
function hasHalfPair(record: object, levels: number): boolean {
  return Object.entries(record).some(([name, value]) => {
    if (typeof value === 'string') return !value.isWellFormed();
    const holdsTexts = typeof value === 'object' && value !== null && name !== 'properties';
    return holdsTexts && levels > 0 && hasHalfPair(value, levels - 1);
  });
}

const PROJECT_AT = Buffer.from('"project_id":"');

/**
 * The project that a record names, without decoding all of it; empty when it names none. What is
 * counted by project on the log and what is counted in the store must agree for every record, also
 * for one that cannot be decoded.
 */
export function readProjectId(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // The encoder writes it among the first fields, and the name of a project has no quotes.
  const at = buffer.indexOf(PROJECT_AT);
  if (at === -1) return '';
  const from = at + PROJECT_AT.length;
  const to = buffer.indexOf(0x22, from);
  return to === -1 ? '' : buffer.toString('utf8', from, to);
}
