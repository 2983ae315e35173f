/**
 * The two kinds of record on the log and their bytes: one JSON object a record, UTF-8, versioned.
 * The same bytes lie in a segment file and on Kafka, and both processors read them.
 * An event is `{"v":1,"project_id":…,"event_id":…,…}`; a refused one is
 * `{"v":1,"rejected":{"project_id":…,"event_id":…,"reason":…,"field":…,"received_at":…,"payload":…}}`.
 */
import type { Event } from './event.ts';
import type { Rejected } from './rejection.ts';

export type WireRecord = { event: Event } | { rejected: Rejected };

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
 * The record in `bytes`.
 * @throws SyntaxError when the bytes are not JSON, RangeError when the version is not known.
 */
export function decodeRecord(bytes: Uint8Array): WireRecord {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  const record = JSON.parse(text) as
    | (Event & { rejected?: undefined })
    | { v: 1; rejected: Rejected };
  if (record.v !== 1) throw new RangeError(`the record has version ${String(record.v)}, not 1`);
  return record.rejected === undefined ? { event: record } : { rejected: record.rejected };
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
