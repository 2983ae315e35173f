/**
 * The window of event ids with the default settings: how fast it is when it is full, what it takes
 * as it fills, and how many new ids it cannot tell from those it has seen.
 */
import { randomUUID } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { readConfig } from '../src/config.ts';
import { recordKey } from '../src/event/wire.ts';
import { createWindow, type Window, windowLimits } from '../src/process/window/window.ts';
import { type Report, spread, whole } from './report.ts';

const MB = 1024 * 1024;
const EVENTS_PER_SECOND = 1_000;
const BATCH = 1_000;
const ROUNDS = 5;
const ROUND_BATCHES = 400;
const EXACT_IDS = 1_000_000;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** What is reachable, in bytes: objects and typed arrays. */
function bytesTaken(): number {
  collectGarbage();
  // Array buffers are freed in the background; the next collection waits for that.
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** Ids as browsers make them; all alike but for the first part, because it is not what is measured. */
const uuidEnd = randomUUID().slice(12);
const keyOf = (id: number): string =>
  recordKey('shop', id.toString(16).padStart(12, '0') + uuidEnd);

const timeOf = (id: number): number => Math.floor((id * 1_000) / EVENTS_PER_SECOND);

function fill(window: Window, from: number, to: number): void {
  for (let id = from; id < to; id++) window.add(keyOf(id), { offset: id, timeMs: timeOf(id) });
}

/** Of this thread, so that what else runs on the machine does not count. */
function processorMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}

/** Looks up and adds batches of new ids; answers the time taken and how many are asked for. */
function check(window: Window, from: number): { tookMs: number; asked: number } {
  let tookMs = 0;
  let asked = 0;
  for (let first = from; first < from + ROUND_BATCHES * BATCH; first += BATCH) {
    const keys = Array.from({ length: BATCH }, (_, i) => keyOf(first + i));
    const timeMs = timeOf(first);
    const startedMs = processorMs();
    for (const key of keys) if (window.find(key, timeMs) === 'ask') asked++;
    for (const [i, key] of keys.entries()) window.add(key, { offset: first + i, timeMs });
    tookMs += processorMs() - startedMs;
  }
  return { tookMs, asked };
}

function exactRow(windowMs: number): string[] {
  const before = bytesTaken();
  // Without room for filters.
  const window = createWindow({ windowMs, idsMax: EXACT_IDS, bytesMax: 0 });
  fill(window, 0, EXACT_IDS * 2);
  const bytes = bytesTaken() - before;
  return [`${whole(window.size)} ids held exactly`, `${(bytes / MB).toFixed(1)} MB`, '≤ 64 MB'];
}

export async function measureWindow(): Promise<Report> {
  const config = readConfig({});
  const windowMs = config.CLICKSTREAM_WINDOW_HOURS * 3_600_000;
  const bytesMax = config.CLICKSTREAM_WINDOW_MB * MB;
  const rows = [exactRow(windowMs)];

  const ids = (windowMs / 1_000) * EVENTS_PER_SECOND;
  const before = bytesTaken();
  const window = createWindow(windowLimits(windowMs, bytesMax));
  let filled = 0;
  for (const share of [1 / 1_000, 1 / 100, 1 / 10, 1]) {
    fill(window, filled, ids * share);
    filled = ids * share;
    rows.push([
      `a window of ${whole(filled)} ids`,
      `${((bytesTaken() - before) / MB).toFixed(1)} MB`,
      `≤ ${config.CLICKSTREAM_WINDOW_MB} MB`,
    ]);
  }

  const perSecond: number[] = [];
  let asked = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const checked = check(window, filled);
    filled += ROUND_BATCHES * BATCH;
    perSecond.push((ROUND_BATCHES * BATCH * 1_000) / checked.tookMs);
    asked += checked.asked;
  }
  const share = asked / (ROUNDS * ROUND_BATCHES * BATCH);
  rows.push(
    ['checks a second of one core, with it full', spread(perSecond), '≥ 200,000'],
    ['new ids that the store is asked about', `${(share * 100).toFixed(4)} %`, '≤ 0.1 %'],
  );
  return {
    title: 'The window of event ids',
    says: `Ids of ${whole(EVENTS_PER_SECOND)} events a second for ${config.CLICKSTREAM_WINDOW_HOURS} hours, all new, in batches of ${whole(BATCH)}; a check is to look an id up and to add it; of the time, this thread’s own. Memory is what is reachable after a garbage collection, of objects and typed arrays; filters come as they are needed.`,
    columns: ['', 'measured', 'goal'],
    rows,
  };
}
