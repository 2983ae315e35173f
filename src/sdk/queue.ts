/**
 * What waits to be sent: in batches, soon after the first, again when it fails, and by beacon when
 * the page is left. An event keeps its id, so sending it twice counts it once. Bounded: when the
 * collector cannot be reached for long, the oldest events are given up.
 */
import { warn } from './warn.ts';

export interface Queue {
  /** @throws TypeError when the event cannot be written as JSON. */
  push(event: object): void;
  /** Hands what waits to the browser, which sends it even when the page is gone. */
  leave(): void;
}

/** Soon, so that a click is on the dashboard while one looks; what comes together goes together. */
const FLUSH_MS = 100;
const BATCH_EVENTS_MAX = 50;
/** Beacons and requests that outlive the page share 64 KiB (Fetch standard, keepalive). */
const BATCH_BYTES_MAX = 30_000;
const KEEPALIVE_BYTES_MAX = 60_000;
const QUEUE_EVENTS_MAX = 1_000;
/** The collector refuses larger events. */
const EVENT_BYTES_MAX = 65_536;
const RETRY_MS = 1_000;
const RETRY_MS_MAX = 60_000;
const RETRY_AFTER_MS_MAX = 3_600_000;

interface Waiting {
  text: string;
  bytes: number;
}

export function createQueue(url: string): Queue {
  /** The first `inFlight` of them are on their way. */
  const waiting: Waiting[] = [];
  let inFlight = 0;
  let failures = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function schedule(ms: number): void {
    if (timer !== undefined) return;
    timer = setTimeout(() => {
      timer = undefined;
      void send();
    }, ms);
  }

  /** How many go together from this place on: at least one, when there is one. */
  function batchSize(from: number): number {
    let bytes = 0;
    let to = from;
    for (; to < waiting.length && to - from < BATCH_EVENTS_MAX; to++) {
      bytes += waiting[to]?.bytes ?? 0;
      if (bytes > BATCH_BYTES_MAX && to > from) break;
    }
    return to - from;
  }

  async function send(): Promise<void> {
    if (inFlight > 0 || waiting.length === 0) return;
    inFlight = batchSize(0);
    const retryAfterMs = await post(url, bodyOf(waiting.slice(0, inFlight)));
    if (retryAfterMs === undefined) {
      waiting.splice(0, inFlight);
      failures = 0;
    } else {
      failures++;
    }
    inFlight = 0;
    if (waiting.length > 0) schedule(failures === 0 ? 0 : backOffMs(failures, retryAfterMs ?? 0));
  }

  return {
    push(event) {
      const text = JSON.stringify(event);
      const bytes = byteLength(text);
      if (bytes > EVENT_BYTES_MAX) {
        warn(`an event of ${bytes} bytes is not sent, the most is ${EVENT_BYTES_MAX}`);
        return;
      }
      if (waiting.length >= QUEUE_EVENTS_MAX) waiting.splice(inFlight, 1);
      waiting.push({ text, bytes });
      if (failures === 0 && waiting.length - inFlight >= BATCH_EVENTS_MAX) void send();
      else schedule(FLUSH_MS);
    },
    leave() {
      // What is in flight outlives the page as it is.
      let from = inFlight;
      for (let count = batchSize(from); count > 0; count = batchSize(from)) {
        if (!navigator.sendBeacon(url, bodyOf(waiting.slice(from, from + count)))) break;
        from += count;
      }
      // Nobody tells what became of a beacon. While the collector fails the events stay here too,
      // for a page that was only hidden; what arrives twice is counted once.
      if (failures === 0) waiting.splice(inFlight, from - inFlight);
    },
  };
}

function bodyOf(batch: readonly Waiting[]): string {
  const events = batch.map(({ text }) => text).join(',');
  return `{"sent_at":${Date.now()},"events":[${events}]}`;
}

/**
 * Resolves with how long to wait before a repetition, at least; undefined when there is nothing to
 * repeat: it was taken, or refused for good. Never rejects.
 */
async function post(url: string, body: string): Promise<number | undefined> {
  try {
    // As text/plain a browser sends it to another origin without asking first.
    const response = await fetch(url, {
      method: 'POST',
      body,
      headers: { 'content-type': 'text/plain' },
      credentials: 'omit',
      keepalive: byteLength(body) < KEEPALIVE_BYTES_MAX,
    });
    const { status } = response;
    if (status === 408 || status === 429 || status >= 500) {
      const afterMs = Number(response.headers.get('retry-after')) * 1_000;
      return Number.isNaN(afterMs) ? 0 : Math.min(afterMs, RETRY_AFTER_MS_MAX);
    }
    const answer = await response.text();
    if (status !== 202 || answer.includes('"reason"')) warn(`refused with ${status}`, answer);
    return undefined;
  } catch {
    // Offline or blocked: the events wait.
    return 0;
  }
}

/** Longer each time, and not the same for every browser that waits. */
function backOffMs(failures: number, retryAfterMs: number): number {
  const ms = Math.min(RETRY_MS * 2 ** (failures - 1), RETRY_MS_MAX);
  return Math.max(ms, retryAfterMs) * (1 + Math.random() / 4);
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}
