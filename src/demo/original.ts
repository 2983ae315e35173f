/**
 * The synthetic shop as the original's producer fills its topic: one JSON object of up to 21 fields
 * a message, keyed by the name of its event. Everything follows from seed and times.
 */
import type { Clock } from '../base/clock.ts';
import { type SentEvent, toOriginal } from './sent-event.ts';
import { createShop } from './shop.ts';

export interface OriginalMessage {
  key: string;
  bytes: Uint8Array;
  timeMs: number;
}

export interface OriginalOptions {
  seed: number;
  events: number;
  /** Events a second from `startMs` on; 0: they happened in the `historyMs` before it. */
  rate: number;
  startMs: number;
  historyMs: number;
}

/** Exactly `events` messages, in the order of their time. */
export function* originalMessages(options: OriginalOptions): Generator<OriginalMessage> {
  const { seed, events, rate, startMs, historyMs } = options;
  const shop = createShop({ seed });
  if (rate > 0) {
    for (let i = 0; i < events; i++) {
      const timeMs = startMs + Math.floor((i * 1_000) / rate);
      for (const event of shop.nextEvents(timeMs, 1)) yield messageOf(event, timeMs);
    }
    return;
  }
  let left = events;
  // The shop answers with about as many as it is asked for; a few more, so that one round will do.
  while (left > 0) {
    for (const event of shop.history(startMs - historyMs, startMs, left * 1.1 + 100)) {
      yield messageOf(event, startMs);
      if (--left === 0) return;
    }
  }
}

function messageOf(event: SentEvent, timeMs: number): OriginalMessage {
  return { key: event.event_name, bytes: Buffer.from(JSON.stringify(toOriginal(event))), timeMs };
}

interface Sending {
  messages: Iterable<OriginalMessage>;
  /** Resolves when the topic has all of them. */
  append: (messages: readonly OriginalMessage[]) => Promise<unknown>;
  clock: Pick<Clock, 'elapsed' | 'sleep'>;
  /** Messages a second; 0: as fast as the topic takes them. */
  rate: number;
  onSent: (messages: number) => void;
}

/** As many as the original's producer sends at once. */
const BATCH_MESSAGES_MAX = 100;
const BATCHES_PER_SECOND = 10;

export async function sendOriginal({ messages, append, clock, rate, onSent }: Sending) {
  const size = Math.min(BATCH_MESSAGES_MAX, Math.max(1, Math.round(rate / BATCHES_PER_SECOND)));
  const batchMax = rate > 0 ? size : BATCH_MESSAGES_MAX;
  const startedMs = clock.elapsed();
  let sent = 0;
  let batch: OriginalMessage[] = [];
  const flush = async (): Promise<void> => {
    if (rate > 0) await clock.sleep(startedMs + (sent * 1_000) / rate - clock.elapsed());
    await append(batch);
    sent += batch.length;
    batch = [];
    onSent(sent);
  };
  for (const message of messages) {
    batch.push(message);
    if (batch.length >= batchMax) await flush();
  }
  if (batch.length > 0) await flush();
}
