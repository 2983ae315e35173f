/**
 * What the collector does to an event, on one core, without sockets and disk: JSON.parse alone,
 * then with parse, steps and encoding.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { realClock } from '../src/base/clock.ts';
import type { Arrival } from '../src/collect/step.ts';
import { openSteps } from '../src/collect/steps.ts';
import { createShop } from '../src/demo/shop.ts';
import type { Event } from '../src/event/event.ts';
import { parseEvent } from '../src/event/parse.ts';
import { encodeRecord } from '../src/event/wire.ts';
import { median, type Report, spread } from './report.ts';

const EVENTS_PER_BODY = 50;
const BODIES = 400;
const ROUND_MS = 600;
const ROUNDS = 5;

const folder = mkdtempSync(join(tmpdir(), 'clickstream-bench-'));
const steps = openSteps({ clock: realClock, dataFolder: folder });
rmSync(folder, { recursive: true });
const nowMs = Date.now();
const shop = createShop({ seed: 1 });
const bodies = Array.from({ length: BODIES }, () =>
  JSON.stringify({ sent_at: nowMs, events: shop.nextEvents(nowMs, EVENTS_PER_BODY) }),
);
const arrival: Arrival = {
  projectId: 'shop',
  receivedAtMs: nowMs + 50,
  sentAtMs: nowMs,
  address: '84.17.49.99',
  userAgent:
    'Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36',
  fromPage: true,
};
const receipt = { project_id: 'shop', received_at: arrival.receivedAtMs, escaped: false };

const STAGES: Record<string, (text: string) => void> = {
  'JSON.parse alone': (text) => JSON.parse(text),
  '… and parse': (text) => {
    for (const input of JSON.parse(text).events) parseEvent(input, receipt);
  },
  '… and steps': (text) => {
    const putAll = steps.map((step) => step(arrival));
    for (const input of JSON.parse(text).events) {
      const event = parseEvent(input, receipt);
      if ('reason' in event) throw new Error(event.reason);
      for (const put of putAll) put(event);
    }
  },
  '… and encode': (text) => {
    const putAll = steps.map((step) => step(arrival));
    for (const input of JSON.parse(text).events) {
      const event = parseEvent(input, receipt);
      if ('reason' in event) throw new Error(event.reason);
      for (const put of putAll) put(event);
      encodeRecord({ event: event as Event });
    }
  },
};

function eventsPerSecond(stage: (text: string) => void): number {
  const start = performance.now();
  let done = 0;
  while (performance.now() - start < ROUND_MS) {
    for (let i = 0; i < 20; i++) stage(bodies[(done + i) % BODIES] ?? '');
    done += 20;
  }
  return (done * EVENTS_PER_BODY * 1000) / (performance.now() - start);
}

export async function measureCollect(): Promise<Report> {
  const rates = Object.fromEntries(Object.keys(STAGES).map((name) => [name, [] as number[]]));
  for (const stage of Object.values(STAGES)) eventsPerSecond(stage);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, stage] of Object.entries(STAGES)) rates[name]?.push(eventsPerSecond(stage));
  }
  const ceiling = median(rates['JSON.parse alone'] ?? []);
  const eventBytes = Math.round((bodies[0]?.length ?? 0) / EVENTS_PER_BODY);
  return {
    title: 'The collector’s work on one event',
    says: `One core, without sockets and disk, events of ${eventBytes} bytes, ${EVENTS_PER_BODY} a body; each row does what those above it do as well.`,
    columns: ['', 'events/s, median (range)', 'of JSON.parse alone'],
    rows: Object.entries(rates).map(([name, values]) => [
      name,
      spread(values),
      `${((median(values) / ceiling) * 100).toFixed(0)} %`,
    ]),
  };
}
