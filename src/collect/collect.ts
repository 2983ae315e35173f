/**
 * One request: bytes → events → steps → one append → the answer. An event is accepted when it is
 * durable on the log. A refused one goes to the log as well, so that every event that arrived is
 * counted there; what is no JSON at all is no event and only counted as a request.
 */
import { randomUUID } from 'node:crypto';
import { check } from '../base/check.ts';
import type { Clock } from '../base/clock.ts';
import { AppError } from '../base/errors.ts';
import type { Metrics } from '../base/metrics.ts';
import type { Event } from '../event/event.ts';
import { type Draft, EVENT_LIMITS, parseEvent, type Receipt, readEventId } from '../event/parse.ts';
import { readerOf } from '../event/read.ts';
import type { Rejection } from '../event/rejection.ts';
import { encodeRecord, recordKey } from '../event/wire.ts';
import type { Log, NewRecord } from '../log/log.ts';
import type { BodyLimits } from './limits.ts';
import { payloadOf } from './payload.ts';
import { BadLine, splitBody } from './split.ts';
import type { Arrival, Step } from './step.ts';

export interface CollectorOptions {
  log: Log;
  steps: readonly Step[];
  clock: Clock;
  metrics: Metrics;
  limits: BodyLimits;
}

/** What is known of a request besides its body. */
export type Sender = Omit<Arrival, 'receivedAtMs' | 'sentAtMs'>;

/** The answer to a request, in the words of the API. */
interface Answer {
  accepted: number;
  rejected: ({ index: number } & Rejection)[];
  /** Accepted events that came without an `event_id`: a repeat of them counts again. */
  without_id?: number;
}

/**
 * Takes the plain bytes of one body.
 * @throws AppError for the request as a whole (`not_json`, `too_large`, …), or what the log throws;
 *   then nothing was accepted, or, if the log failed in the middle, nothing was acknowledged.
 */
export type Collector = (
  body: Buffer,
  contentType: string | undefined,
  sender: Sender,
) => Promise<Answer>;

const readTime = readerOf({ is: 'time' });

export function createCollector(options: CollectorOptions): Collector {
  const { log, steps, clock, metrics, limits } = options;
  const countAccepted = metrics.counter(
    'clickstream_events_accepted_total',
    'Events that are durable on the log.',
  );
  const countRejected = metrics.counter(
    'clickstream_events_rejected_total',
    'Events refused by the collector, by reason; they are on the log as well.',
    ['reason'],
  );
  const appendSeconds = metrics.histogram(
    'clickstream_append_seconds',
    'Time until the events of one request were durable.',
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1],
  );

  return async (body, contentType, sender) => {
    const inputs = splitBody(body, contentType, limits);
    const receivedAtMs = clock.now();
    const arrival = { ...sender, receivedAtMs, sentAtMs: readSentAt(inputs.sentAt) };
    const { escaped } = inputs;
    const receipt = { project_id: sender.projectId, received_at: receivedAtMs, escaped };
    const putAll = steps.map((step) => step(arrival));
    const records: NewRecord[] = [];
    const rejected: Answer['rejected'] = [];
    let withoutId = 0;

    for (const [index, input] of inputs.events.entries()) {
      const event: Draft | Rejection =
        input instanceof BadLine ? { reason: 'not_json', field: '' } : parseEvent(input, receipt);
      const isWithoutId = 'reason' in event || event.event_id === undefined;
      const record = 'reason' in event ? event : complete(event, putAll);
      if ('reason' in record) {
        rejected.push({ index, reason: record.reason, field: record.field });
        records.push(rejectedRecord(input, record, receipt));
      } else {
        records.push(record);
        if (isWithoutId) withoutId++;
      }
    }

    if (records.length > 0) {
      const startMs = clock.elapsed();
      await log.append(records);
      appendSeconds((clock.elapsed() - startMs) / 1000);
    }
    const accepted = records.length - rejected.length;
    countAccepted(accepted);
    for (const { reason } of rejected) countRejected(1, { reason });
    return withoutId === 0 ? { accepted, rejected } : { accepted, rejected, without_id: withoutId };
  };
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

function rejectedRecord(input: unknown, refused: Rejection, receipt: Receipt): NewRecord {
  const { project_id, received_at } = receipt;
  const event_id = readEventId(input) ?? randomUUID();
  return {
    key: recordKey(project_id, event_id),
    bytes: encodeRecord({
      rejected: { ...refused, project_id, event_id, received_at, payload: payloadOf(input) },
    }),
    timeMs: received_at,
  };
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
