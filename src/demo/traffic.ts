/**
 * Sends events of the synthetic shop to a collector over HTTP, as a shop would: some days of
 * history into an empty store, then live traffic.
 */
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import { createRandom } from './random.ts';
import type { SentEvent } from './sent-event.ts';
import { createShop } from './shop.ts';

export interface TrafficOptions {
  /** Address of the collector, `http://host:port`. */
  url: string;
  /** A write key. */
  key: string;
  clock: Clock;
  logger: Logger;
  signal: AbortSignal;
}

export interface HistoryOptions extends TrafficOptions {
  seed?: number;
  /** The end of the history; now if absent. */
  toMs?: number;
  /** Called after every batch with the number of events taken so far. */
  onProgress?: (taken: number) => void;
}

const BATCH_EVENTS_MAX = 500;
/** Small enough for the page to move steadily. */
const TICK_MS = 250;
const RETRY_MS = 1_000;
const RETRY_AFTER_MS_MAX = 60_000;
/** A visitor does something this often. */
const SECONDS_PER_EVENT = 20;
const VISITS_AT_ONCE_MAX = 5_000;

/**
 * Posts about `events` backdated events spread over `days`; resolves with how many were taken.
 * @throws Error when the collector refuses for good, as it does a wrong key.
 */
export async function fillHistory(
  o: HistoryOptions,
  days: number,
  events: number,
): Promise<number> {
  const { seed = 1, toMs = o.clock.now(), onProgress } = o;
  let batch: SentEvent[] = [];
  let taken = 0;
  const flush = async (): Promise<void> => {
    taken += await send(o, batch);
    batch = [];
    onProgress?.(taken);
  };
  for (const event of createShop({ seed }).history(toMs - days * 86_400_000, toMs, events)) {
    batch.push(event);
    if (batch.length === BATCH_EVENTS_MAX) await flush();
    if (o.signal.aborted) return taken;
  }
  if (batch.length > 0) await flush();
  return taken;
}

/**
 * Sends events until the signal fires: `eventsPerSecond` on average, and as irregular as people.
 * @throws Error when the collector refuses for good, as it does a wrong key.
 */
export async function sendLive(o: TrafficOptions, eventsPerSecond: number): Promise<void> {
  const visits = Math.round(eventsPerSecond * SECONDS_PER_EVENT);
  const visitsAtOnce = Math.min(Math.max(visits, 1), VISITS_AT_ONCE_MAX);
  // Another seed at every start: the ids of one run must not come again in the next.
  const seed = o.clock.now();
  const shop = createShop({ seed, visitsAtOnce });
  const random = createRandom(seed);
  const meanMs = 1_000 / eventsPerSecond;
  let nextMs = o.clock.elapsed();
  while (!o.signal.aborted) {
    const nowMs = o.clock.elapsed();
    // After a pause of the machine the gap is not made up for: nobody was in the shop.
    nextMs = Math.max(nextMs, nowMs - 1_000);
    let due = 0;
    for (; nextMs <= nowMs; nextMs += random.exponential(meanMs)) due++;
    for (; due > 0 && !o.signal.aborted; due -= BATCH_EVENTS_MAX)
      await send(o, shop.nextEvents(o.clock.now(), Math.min(due, BATCH_EVENTS_MAX)));
    await o.clock.sleep(TICK_MS, o.signal);
  }
}

/** Sends one batch until it is answered 202, waiting as told; 0 when the signal ended it. */
async function send(o: TrafficOptions, events: SentEvent[]): Promise<number> {
  while (!o.signal.aborted) {
    let waitMs = RETRY_MS;
    try {
      const response = await fetch(`${o.url}/v1/events`, {
        method: 'POST',
        headers: { authorization: `Bearer ${o.key}`, 'content-type': 'application/json' },
        body: JSON.stringify({ events, sent_at: o.clock.now() }),
        signal: o.signal,
      });
      const answer = await response.text();
      if (response.status === 202) return (JSON.parse(answer) as { accepted: number }).accepted;
      if (response.status < 500 && response.status !== 429)
        throw new RefusedError(`the collector answered ${response.status}: ${answer}`);
      waitMs = retryAfterMs(response);
      o.logger.warn({ status: response.status, waitMs }, 'the synthetic shop has to wait');
    } catch (error) {
      if (error instanceof RefusedError) throw error;
      if (o.signal.aborted) return 0;
      o.logger.warn({ err: error, waitMs }, 'the synthetic shop cannot reach the collector');
    }
    await o.clock.sleep(waitMs, o.signal);
  }
  return 0;
}

/** Refused for good: sending it again would not help. */
class RefusedError extends Error {}

function retryAfterMs(response: Response): number {
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
  return Number.isNaN(seconds) ? RETRY_MS : Math.min(seconds * 1_000, RETRY_AFTER_MS_MAX);
}
