/**
 * A sender as delivery.md asks for: it counts only what was answered 202, and sends the same request
 * again until it is. Some of its events come twice on purpose, some are wrong, and a session's
 * events do not arrive in their order.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { createRandom, type Random } from '../../src/demo/random.ts';
import type { Entry, Ledger, SentEvent } from './ledger.ts';

export const KEYS: Readonly<Record<string, string>> = {
  shop: 'shop-crash-key',
  news: 'news-crash-key',
};

const AGAIN_MS = 5;
const PAUSE_MS_MAX = 12;
const EVENTS_MAX = 30;
const SESSION_EVENTS_MAX = 40;
const ANSWER_MS_MAX = 30_000;
const PATHS = ['/', '/search', '/item/1', '/item/2', '/item/3', '/cart', '/promo', '/about'];
const NAMES = ['HOMEPAGE', 'ITEM_DETAIL', 'SEARCH', 'ADD_TO_CART', 'BOOKING', 'page_view', 'CLICK'];

export interface Sender {
  /** Resolves when what is on its way has been answered. */
  stop(): Promise<void>;
  /** Nobody answers any more. */
  giveUp(): void;
}

export interface SenderOptions {
  /** Collectors, asked in turn: what one has not taken is sent to the next. */
  urls: readonly string[];
  /** Part of its ids. */
  name: string;
  project: string;
  seed: number;
  ledger: Ledger;
}

export function startSender({ urls, name, project, seed, ledger }: SenderOptions): Sender {
  const random = createRandom(seed);
  const makeEvent = createEvents(random, name);
  let isStopped = false;
  let isGivenUp = false;
  let tries = 0;

  function makeBatch(): Entry[] {
    const batch: Entry[] = [];
    const count = random.whole(1, EVENTS_MAX);
    while (batch.length < count) {
      if (random.happens(0.04) && ledger.acknowledged.length > 0) {
        const known = random.one(ledger.acknowledged);
        if (known.project === project) batch.push(known);
      } else if (random.happens(0.03) && batch.length > 0) {
        batch.push(random.one(batch.filter(({ isValid }) => isValid)) ?? batch[0]);
      } else {
        // The first one is right: a request of which nothing is taken is another case.
        const isValid = batch.length === 0 || !random.happens(0.02);
        batch.push(ledger.add(project, makeEvent(isValid), isValid));
      }
    }
    return random.happens(0.3) ? batch.toReversed() : batch;
  }

  async function isTaken(batch: readonly Entry[], body: string): Promise<boolean> {
    const begunAt = ledger.now();
    const url = urls[tries++ % urls.length] ?? '';
    const answer = await post(url, project, body);
    if (answer?.status === NOBODY) return false;
    ledger.onSent(batch);
    if (answer?.status !== 202) {
      if (answer !== undefined) ledger.refusals.push(answer);
      return false;
    }
    ledger.onAcknowledged(batch);
    ledger.wake(begunAt);
    const wrong = batch.filter(({ isValid }) => !isValid).length;
    const { accepted, rejected } = answer.taken;
    if (accepted !== batch.length - wrong || rejected?.length !== wrong)
      ledger.faults.push(`${batch.length} events, ${wrong} wrong: ${JSON.stringify(answer.taken)}`);
    return true;
  }

  const run = async (): Promise<void> => {
    while (!isStopped) {
      const batch = makeBatch();
      const body = JSON.stringify(batch.map(({ event }) => event));
      while (!isGivenUp && !(await isTaken(batch, body))) await sleep(AGAIN_MS);
      if (isGivenUp) return;
      await sleep(random.whole(0, PAUSE_MS_MAX));
    }
  };
  const running = run();
  return {
    async stop() {
      isStopped = true;
      await running;
    },
    giveUp() {
      isGivenUp = true;
    },
  };
}

interface Taken {
  accepted?: number;
  rejected?: { index: number; reason: string; field: string }[];
}

export interface Answered {
  status: number;
  retryAfter: string | null;
  taken: Taken;
}

/** The status when nobody was there to take it. */
const NOBODY = 0;

/** Undefined without an answer: nobody knows whether it was taken. */
export async function post(
  url: string,
  project: string,
  body: string,
): Promise<Answered | undefined> {
  try {
    const response = await fetch(`${url}/v1/events?key=${KEYS[project]}`, {
      method: 'POST',
      body,
      headers: { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0' },
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    });
    const taken = (await response.json()) as Taken;
    return { status: response.status, retryAfter: response.headers.get('retry-after'), taken };
  } catch (error) {
    if (codeOf(error) !== 'ECONNREFUSED') return undefined;
    return { status: NOBODY, retryAfter: null, taken: {} };
  }
}

/** Of a failed fetch. */
function codeOf(error: unknown): unknown {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && 'code' in cause ? cause.code : undefined;
}

/** Sessions of some events each, several in one millisecond, told apart by their sequence. */
function createEvents(random: Random, name: string): (isValid: boolean) => SentEvent {
  let made = 0;
  let session = 0;
  let sequence = SESSION_EVENTS_MAX;
  let timeMs = 0;
  return (isValid) => {
    made += 1;
    if (sequence >= SESSION_EVENTS_MAX) {
      session += 1;
      sequence = 0;
      timeMs = Date.now() - random.whole(0, 6 * 3_600_000) - 1_000;
    }
    sequence += 1;
    if (random.happens(0.4)) timeMs += random.whole(1, 20);
    const path = random.one(PATHS);
    const event: SentEvent = {
      event_name: random.one(NAMES),
      event_id: `${name}-${made}`,
      session_id: `${name}-session-${session}`,
      visitor_id: `${name}-visitor-${Math.floor(session / 3)}`,
      event_time: new Date(timeMs).toISOString(),
      sequence,
      url: `https://shop.example${path}`,
      traffic_source: random.one(['WEB', 'MOBILE']),
      note: 'x'.repeat(random.whole(0, 400)),
    };
    if (event.event_name === 'BOOKING') {
      event.booking_id = `${name}-order-${random.whole(1, 500)}`;
      event.payment_status = random.one(['Success', 'Failed']);
      event.value = `${random.whole(1, 500)}.${random.whole(10, 99)}`;
    }
    return isValid ? event : { ...event, quantity: 'many' };
  };
}
