/**
 * What the collector does to an event, on one core, without sockets and disk:
 * JSON.parse alone, then with parse, steps and encoding. Prints events per second and the ratio.
 *   node bench/collect.ts
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { realClock } from '../src/base/clock.ts';
import { type Arrival, openSteps } from '../src/collect/steps.ts';
import type { Event } from '../src/event/event.ts';
import { parseEvent } from '../src/event/parse.ts';
import { encodeRecord } from '../src/event/wire.ts';

const EVENTS_PER_BODY = 50;
const BODIES = 400;
const ROUND_MS = 600;
const ROUNDS = 5;

function body(n: number): string {
  const events = Array.from({ length: EVENTS_PER_BODY }, (_, i) => ({
    event_name: ['CLICK', 'HOMEPAGE', 'SCROLL', 'ADD_TO_CART', 'ITEM_DETAIL'][i % 5],
    event_id: `0198c1f2-${String(n).padStart(4, '0')}-7${String(i).padStart(3, '0')}-8000-51b5d0a4e7c1`,
    event_time: 1_750_000_000_000 + n * 1000 + i,
    session_id: `s-${n % 97}-51b5d0a4e7c1`,
    visitor_id: `v-${n % 61}-51b5d0a4e7c1`,
    sequence: i,
    url: `https://shop.example/item/${(n * 7 + i) % 900}?utm_source=news&utm_medium=email`,
    title: 'Shirts and more',
    referrer: 'https://www.google.com/',
    traffic_source: 'MOBILE',
    product_id: String((n + i) % 5000),
    quantity: 1,
    item_price: '199.95',
  }));
  return JSON.stringify({ sent_at: 1_750_000_900_000, events });
}

const folder = mkdtempSync(join(tmpdir(), 'clickstream-bench-'));
const steps = openSteps({ clock: realClock, dataFolder: folder });
rmSync(folder, { recursive: true });
const bodies = Array.from({ length: BODIES }, (_, n) => body(n));
const arrival: Arrival = {
  projectId: 'shop',
  receivedAtMs: 1_750_000_900_050,
  sentAtMs: 1_750_000_900_000,
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

const rates = Object.fromEntries(Object.keys(STAGES).map((name) => [name, [] as number[]]));
for (const stage of Object.values(STAGES)) eventsPerSecond(stage);
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, stage] of Object.entries(STAGES)) rates[name]?.push(eventsPerSecond(stage));
}
const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
const ceiling = median(rates['JSON.parse alone'] ?? []);
const eventBytes = Math.round((bodies[0]?.length ?? 0) / EVENTS_PER_BODY);
process.stdout.write(`collector, one core, events of ${eventBytes} B, median of ${ROUNDS}\n`);
for (const [name, values] of Object.entries(rates)) {
  const rate = median(values);
  const line = [name.padEnd(18), Math.round(rate).toLocaleString('en').padStart(9), 'events/s'];
  line.push(`${((rate / ceiling) * 100).toFixed(0)} %`.padStart(6));
  process.stdout.write(`${line.join(' ')}\n`);
}
