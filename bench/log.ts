/**
 * Durable appends of the file log beside the machine's own ceiling: one bare write and fdatasync of
 * the same bytes, in the same run, in turns.
 */
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { realClock } from '../src/base/clock.ts';
import { createLogger } from '../src/base/logger.ts';
import { realDisk } from '../src/log/disk.ts';
import { openFileLog } from '../src/log/file.ts';
import { RECORD_HEADER_BYTES } from '../src/log/format.ts';
import { median, type Report, whole } from './report.ts';

const MB = 1024 * 1024;
const RECORD_BYTES = 300;
const ROUNDS = 5;
const ROUND_MS = 800;
const CEILING_FILE_BYTES = 64 * MB;
const CASES = [
  { writers: 1, batch: 1 },
  { writers: 64, batch: 1 },
  { writers: 1024, batch: 1 },
  { writers: 64, batch: 50 },
] as const;

interface Measured {
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
}

/** Repeats `work`, which answers how many records it made durable, side by side. */
async function measure(writers: number, work: () => Promise<number>): Promise<Measured> {
  const startMs = performance.now();
  const tookMs: number[] = [];
  let records = 0;
  const write = async () => {
    let nowMs = performance.now();
    while (nowMs < startMs + ROUND_MS) {
      const made = await work();
      records += made;
      const doneMs = performance.now();
      tookMs.push(doneMs - nowMs);
      nowMs = doneMs;
    }
  };
  await Promise.all(Array.from({ length: writers }, write));
  const seconds = (performance.now() - startMs) / 1000;
  tookMs.sort((a, b) => a - b);
  const at = (share: number) => tookMs[Math.floor(tookMs.length * share)] ?? 0;
  return { perSecond: records / seconds, p50Ms: at(0.5), p99Ms: at(0.99) };
}

async function openCeiling(path: string) {
  const file = await open(path, 'w+');
  const zeros = Buffer.alloc(MB);
  for (let at = 0; at < CEILING_FILE_BYTES; at += MB) await file.write(zeros, 0, MB, at);
  await file.sync();
  let at = 0;
  return {
    /** Writes what `records` records take, and flushes it. */
    write: async (bytes: Buffer) => {
      if (at + bytes.length > CEILING_FILE_BYTES) at = 0;
      await file.write(bytes, 0, bytes.length, at);
      await file.datasync();
      at += bytes.length;
    },
    close: () => file.close(),
  };
}

function medians(rounds: Measured[]): Measured {
  return {
    perSecond: median(rounds.map(({ perSecond }) => perSecond)),
    p50Ms: median(rounds.map(({ p50Ms }) => p50Ms)),
    p99Ms: median(rounds.map(({ p99Ms }) => p99Ms)),
  };
}

export async function measureLog(): Promise<Report> {
  const rows: string[][] = [];
  let readPerSecond = 0;
  const folder = await mkdtemp(join(tmpdir(), 'clickstream-bench-'));
  const ceiling = await openCeiling(join(folder, 'ceiling'));
  const log = await openFileLog({
    folder,
    partitions: 1,
    segmentBytes: 64 * MB,
    keepMs: 3_600_000,
    keepBytes: 1024 * MB,
    keepAlwaysMs: 3_600_000,
    bytesInFlightMax: 64 * MB,
    disk: realDisk,
    clock: realClock,
    logger: createLogger('error'),
    onFatal: (error) => {
      throw error;
    },
  });
  try {
    const bytes = Buffer.alloc(RECORD_BYTES, 'x');
    for (const { writers, batch } of CASES) {
      const records = Array.from({ length: batch }, () => ({ key: 'k', bytes, timeMs: 0 }));
      const inFlight = writers * batch;
      const written = Buffer.alloc(inFlight * (RECORD_BYTES + RECORD_HEADER_BYTES), 'x');
      const ours: Measured[] = [];
      const raw: Measured[] = [];
      for (let round = 0; round < ROUNDS; round += 1) {
        ours.push(await measure(writers, async () => (await log.append(records)).length));
        raw.push(await measure(1, () => ceiling.write(written).then(() => inFlight)));
      }
      const { perSecond, p50Ms, p99Ms } = medians(ours);
      const ceilingPerSecond = medians(raw).perSecond;
      rows.push([
        String(writers),
        String(batch),
        whole(perSecond),
        p50Ms.toFixed(2),
        p99Ms.toFixed(2),
        whole(ceilingPerSecond),
        `${((perSecond / ceilingPerSecond) * 100).toFixed(0)} %`,
      ]);
    }
    const end = (await log.stats()).ends[0] ?? 0;
    const startMs = performance.now();
    for (let next = 0; next < end; ) {
      next += (await log.read(0, next, { recordsMax: 20_000, bytesMax: 16 * MB, waitMs: 0 }))
        .length;
    }
    readPerSecond = end / ((performance.now() - startMs) / 1000);
  } finally {
    await log.close();
    await ceiling.close();
    await rm(folder, { recursive: true });
  }
  return {
    title: 'The log',
    says: `Durable appends of records of ${RECORD_BYTES} bytes, each answered after its fdatasync, beside one bare write and fdatasync of the same bytes, in turns. Read back in order: ${whole(readPerSecond)} records/s.`,
    columns: ['writers', 'batch', 'records/s', 'p50 ms', 'p99 ms', 'ceiling/s', 'of the ceiling'],
    rows,
  };
}
