/**
 * One request: bytes → events → steps → one append → the answer. An event is accepted when it is
 * durable on the log. A refused one goes to the log as well, so that every event that arrived is
 * counted there; what is no JSON at all is no event and only counted as a request.
 */
import type { Clock } from '../base/clock.ts';
import type { Metrics } from '../base/metrics.ts';
import type { Rejection } from '../event/rejection.ts';
import type { Log, NewRecord } from '../log/log.ts';
import type { BodyLimits } from './limits.ts';
import { receive } from './record.ts';
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

export function createCollector(options: CollectorOptions): Collector {
  const { log, clock, metrics } = options;
  const countAccepted = metrics.counter(
    'clickstream_events_accepted_total',
    'Events that are durable, on the log or on the spool before it.',
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
    const arrival = { ...sender, receivedAtMs: clock.now() };
    const { inputs, take } = receive(body, contentType, arrival, options);
    const records: NewRecord[] = [];
    const rejected: Answer['rejected'] = [];
    let withoutId = 0;

    for (const [index, input] of inputs.entries()) {
      const { record, refused, isWithoutId } = take(input);
      records.push(record);
      if (refused !== undefined) {
        rejected.push({ index, reason: refused.reason, field: refused.field });
      } else if (isWithoutId) withoutId++;
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
