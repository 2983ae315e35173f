/**
 * Sends events of the synthetic shop to a collector over HTTP, as a shop would: some days of
 * history into an empty store, then live traffic.
 */
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
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

const SEED = 1;
const HISTORY_BATCH = 500;
/** Ticks a second: small enough for the page to move steadily. */
const TICKS_PER_SECOND = 4;
const RETRY_MS = 1_000;
/** A visitor does something this often. */
const SECONDS_PER_EVENT = 20;

/** Posts `events` backdated events spread over the last `days`; resolves with how many were taken. */
export async function fillHistory(
  o: TrafficOptions,
  days: number,
  events: number,
): Promise<number> {
  const toMs = o.clock.now();
  const shop = createShop({ seed: SEED });
  let batch: SentEvent[] = [];
  let taken = 0;
  for (const event of shop.history(toMs - days * 86_400_000, toMs, events)) {
    batch.push(event);
    if (batch.length < HISTORY_BATCH) continue;
    taken += await send(o, batch);
    batch = [];
    if (o.signal.aborted) return taken;
  }
  return taken + (batch.length > 0 ? await send(o, batch) : 0);
}

/** Sends about `eventsPerSecond` until the signal fires. */
export async function sendLive(o: TrafficOptions, eventsPerSecond: number): Promise<void> {
  const visitsAtOnce = Math.max(1, Math.round(eventsPerSecond * SECONDS_PER_EVENT));
  const shop = createShop({ seed: o.clock.now() % 1_000_000, visitsAtOnce });
  const startedMs = o.clock.elapsed();
  let sent = 0;
  while (!o.signal.aborted) {
    const due = Math.floor(((o.clock.elapsed() - startedMs) / 1_000) * eventsPerSecond) - sent;
    if (due > 0) {
      // After a pause of the machine the gap is not made up for: nobody was in the shop.
      await send(o, shop.nextEvents(o.clock.now(), Math.min(due, eventsPerSecond)));
      sent += due;
    }
    await o.clock.sleep(1_000 / TICKS_PER_SECOND, o.signal);
  }
}

/** Sends one batch until it is answered 202, waiting as told; 0 when the signal ended it. */
async function send(o: TrafficOptions, events: SentEvent[]): Promise<number> {
  const body = JSON.stringify({ events, sent_at: o.clock.now() });
  while (!o.signal.aborted) {
    try {
      const response = await fetch(`${o.url}/v1/events`, {
        method: 'POST',
        headers: { authorization: `Bearer ${o.key}`, 'content-type': 'application/json' },
        body,
        signal: o.signal,
      });
      const answer = (await response.json()) as { accepted?: number };
      if (response.status === 202) return answer.accepted ?? 0;
      const waitMs = Number(response.headers.get('retry-after') ?? 1) * 1_000;
      o.logger.warn({ status: response.status, answer, waitMs }, 'the demo shop was refused');
      await o.clock.sleep(waitMs, o.signal);
    } catch (error) {
      if (o.signal.aborted) return 0;
      o.logger.warn({ err: error }, 'the demo shop cannot reach the collector');
      await o.clock.sleep(RETRY_MS, o.signal);
    }
  }
  return 0;
}
