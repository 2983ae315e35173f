/**
 * What waits to be sent: in batches, soon after the first, again when it fails, and by beacon when
 * the page is left. An event keeps its id, so sending it twice counts it once. Bounded: when the
 * collector cannot be reached for long, the oldest events are given up.
 */
import type { Event, SentField } from '../event/event.ts';

export type QueuedEvent = Partial<Pick<Event, SentField>> & Pick<Event, 'event_name' | 'event_id'>;

export interface Queue {
  push(event: QueuedEvent): void;
  /** Sends what waits now, in a way that outlives the page. */
  leave(): void;
}

const FLUSH_MS = 100;
const BATCH_EVENTS_MAX = 50;
const QUEUE_EVENTS_MAX = 1_000;
const RETRY_MS = 1_000;
const RETRY_MS_MAX = 60_000;
/** A beacon may carry 64 KiB in all (Fetch standard, keepalive quota). */
const BEACON_CHARS_MAX = 50_000;

export function createQueue(url: string): Queue {
  const waiting: QueuedEvent[] = [];
  let _timer: ReturnType<typeof setTimeout> | undefined;
  let isSending = false;
  let retryMs = 0;

  const body = (events: readonly QueuedEvent[]): string =>
    JSON.stringify({ events, sent_at: Date.now() });

  function later(ms: number): void {
    _timer ??= setTimeout(() => {
      _timer = undefined;
      void send();
    }, ms);
  }

  async function send(): Promise<void> {
    if (isSending || waiting.length === 0) return;
    isSending = true;
    const batch = waiting.slice(0, BATCH_EVENTS_MAX);
    const waitMs = await post(body(batch));
    isSending = false;
    if (waitMs === undefined) {
      // Taken, or refused for good: sending these again would not help.
      const sent = new Set(batch.map((event) => event.event_id));
      for (let i = waiting.length - 1; i >= 0; i--) {
        if (sent.has(waiting[i]?.event_id ?? '')) waiting.splice(i, 1);
      }
      retryMs = 0;
      if (waiting.length > 0) later(0);
    } else {
      retryMs = Math.min(Math.max(waitMs, retryMs * 2, RETRY_MS), RETRY_MS_MAX);
      later(retryMs);
    }
  }

  /** How long to wait before a repetition; undefined when there is nothing to repeat. */
  async function post(text: string): Promise<number | undefined> {
    try {
      // As text/plain a browser sends it to another origin without asking first.
      const response = await fetch(url, {
        method: 'POST',
        body: text,
        headers: { 'content-type': 'text/plain' },
        keepalive: text.length < BEACON_CHARS_MAX,
      });
      if (response.status !== 429 && response.status < 500) return undefined;
      return Number(response.headers.get('retry-after') ?? 1) * 1_000;
    } catch {
      // Offline, or blocked: the events wait.
      return RETRY_MS;
    }
  }

  return {
    push(event) {
      waiting.push(event);
      if (waiting.length > QUEUE_EVENTS_MAX) {
        waiting.shift();
      }
      if (waiting.length >= BATCH_EVENTS_MAX) void send();
      else later(FLUSH_MS);
    },
    leave() {
      while (waiting.length > 0) {
        let count = Math.min(waiting.length, BATCH_EVENTS_MAX);
        while (count > 1 && body(waiting.slice(0, count)).length > BEACON_CHARS_MAX) {
          count = Math.ceil(count / 2);
        }
        if (!navigator.sendBeacon(url, body(waiting.slice(0, count)))) return;
        waiting.splice(0, count);
      }
    },
  };
}
