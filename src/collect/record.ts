/**
 * One body → its events → one record each, accepted or refused: the same for every way in. An
 * event that is refused becomes a record as well, so that every event that arrived is counted.
 */
import { randomUUID } from 'node:crypto';
import { check } from '../base/check.ts';
import { AppError } from '../base/errors.ts';
import type { Event } from '../event/event.ts';
import { type Draft, EVENT_LIMITS, parseEvent, type Receipt, readEventId } from '../event/parse.ts';
import { readerOf } from '../event/read.ts';
import type { Rejection } from '../event/rejection.ts';
import { encodeRecord, recordKey } from '../event/wire.ts';
import type { NewRecord } from '../log/log.ts';
import type { BodyLimits } from './limits.ts';
import { payloadOf } from './payload.ts';
import { BadLine, splitBody } from './split.ts';
import type { Arrival, Step } from './step.ts';

/** What becomes of one event. */
export interface Taken {
  record: NewRecord;
  /** Why it was refused, which its record says as well. */
  refused: Rejection | undefined;
  /** Accepted, and the sender gave it no `event_id`. */
  isWithoutId: boolean;
}

export interface Reception {
  /** The events of the body, still unchecked. */
  inputs: readonly unknown[];
  /** `madeId`: the id of an event that has none; at random without it. */
  take(input: unknown, madeId?: string): Taken;
}

const readTime = readerOf({ is: 'time' });

/**
 * Reads one plain body.
 * @throws AppError for the body as a whole: `not_json`, `too_large` (more events than are taken),
 *   `bad_request` (depth, or with the field `sent_at`).
 */
export function receive(
  body: Buffer,
  contentType: string | undefined,
  sender: Omit<Arrival, 'sentAtMs'>,
  { steps, limits }: { steps: readonly Step[]; limits: BodyLimits },
): Reception {
  const { events, sentAt, escaped } = splitBody(body, contentType, limits);
  const arrival = { ...sender, sentAtMs: readSentAt(sentAt) };
  const receipt = { project_id: sender.projectId, received_at: sender.receivedAtMs, escaped };
  const putAll = steps.map((step) => step(arrival));
  return {
    inputs: events,
    take(input, madeId) {
      const event: Draft | Rejection =
        input instanceof BadLine ? { reason: 'not_json', field: '' } : parseEvent(input, receipt);
      if ('reason' in event) return refuse(input, event, receipt, madeId);
      const isWithoutId = event.event_id === undefined;
      if (isWithoutId && madeId !== undefined) event.event_id = madeId;
      const record = complete(event, putAll);
      if ('reason' in record) return refuse(input, record, receipt, madeId);
      return { record, refused: undefined, isWithoutId };
    },
  };
}

/** The record of an event that is not taken, or of a body that holds none. */
export function refuse(
  input: unknown,
  refused: Rejection,
  { project_id, received_at }: Pick<Receipt, 'project_id' | 'received_at'>,
  madeId?: string,
): Taken {
  const event_id = readEventId(input) ?? madeId ?? randomUUID();
  const record = {
    key: recordKey(project_id, event_id),
    bytes: encodeRecord({
      rejected: { ...refused, project_id, event_id, received_at, payload: payloadOf(input) },
    }),
    timeMs: received_at,
  };
  return { record, refused, isWithoutId: false };
}

/** The record of an event that every step and the limit of size let through. */
function complete(draft: Draft, putAll: readonly ReturnType<Step>[]): NewRecord | Rejection {
  for (const put of putAll) {
    const refused = put(draft);
    if (refused !== undefined) return refused;
  }
  const { event_id, visitor_id, session_id, event_time } = draft;
  check(event_id !== undefined && event_time !== undefined, 'the steps give an id and a time');
  check(visitor_id !== undefined && session_id !== undefined, 'the steps give a visitor');
  const bytes = encodeRecord({ event: draft as Event });
  if (bytes.length > EVENT_LIMITS.bytesMax) return { reason: 'too_large', field: '' };
  return { key: recordKey(draft.project_id, event_id), bytes, timeMs: draft.received_at };
}

function readSentAt(sentAt: unknown): number | undefined {
  if (sentAt === undefined || sentAt === null || sentAt === '') return undefined;
  const ms = readTime(sentAt, true);
  if (typeof ms !== 'number') {
    throw new AppError('bad_request', '`sent_at` of the batch is not a time.', {
      field: 'sent_at',
    });
  }
  return ms;
}
