/**
 * The closed list of reasons for which an event is refused. A refusal is a value, not an error:
 * it is answered to the sender, kept in `rejected_events` with the shortened payload, and counted.
 * There is one test per reason in parse.test.ts; docs/errors.md is printed from this list.
 */

export const REASONS = {
  not_json: 'this line of the body is not JSON',
  not_an_object: 'an event is a JSON object',
  missing: 'a field that is needed is not there',
  wrong_type: 'the field holds another type than it may',
  bad_format: 'the text cannot be read as the number, time or date that the field holds',
  bad_text: 'the text holds a NUL character or half of a surrogate pair',
  too_long: 'the text is longer than the field may hold',
  out_of_range: 'the number, time or date is outside what the field may hold',
  too_large: 'the event as a whole is larger than is taken',
  too_deep: 'the event is nested deeper than is taken',
  too_many_properties: 'the event has more properties than are taken',
  too_many_items: 'the event has more items than are taken',
  reserved: 'this field is set by the pipeline, never by a sender',
  unprocessable: 'the record broke a later step; it is kept for repair',
} as const;

export type Reason = keyof typeof REASONS;

/** Why one event was refused. `field` is empty where no single field is to blame. */
export interface Rejection {
  reason: Reason;
  field: string;
}

/** A refused event on its way to `rejected_events`. */
export interface Rejected extends Rejection {
  project_id: string;
  /** The sender's id, or one made for the record, so that it finds its partition. */
  event_id: string;
  received_at: number;
  /** What was sent, cut to `PAYLOAD_BYTES_MAX`. */
  payload: string;
}

export const PAYLOAD_BYTES_MAX = 4096;
