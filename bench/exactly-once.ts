/**
 * What exactly once costs: the processor beside a bare loop that reads the same log and inserts the
 * same batches with nothing else around them. And what a kill costs: a system that finds a million
 * records waiting when it is started again, while more come in.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { realClock } from '../src/base/clock.ts';
import { createLogger } from '../src/base/logger.ts';
import { createMetrics } from '../src/base/metrics.ts';
import type { Arrival } from '../src/collect/step.ts';
import { openSteps } from '../src/collect/steps.ts';
import { createShop } from '../src/demo/shop.ts';
import { startEngine } from '../src/engine/start.ts';
import type { Event } from '../src/event/event.ts';
import { parseEvent } from '../src/event/parse.ts';
import { decodeRecord, encodeRecord, recordKey } from '../src/event/wire.ts';
import { type Disk, realDisk } from '../src/log/disk.ts';
import { openFileLog } from '../src/log/file.ts';
import type { Log, NewRecord } from '../src/log/log.ts';
import { createProcessor } from '../src/process/process.ts';
import { createRecords, type Records } from '../src/process/records.ts';
import { COLUMNS, storedRow } from '../src/process/row.ts';
import { windowLimits } from '../src/process/window/window.ts';
import { createClickHouseStore } from '../src/store/clickhouse.ts';
import type { Store } from '../src/store/store.ts';
import {
  freePort,
  removeFolder,
  spawnSystem,
  startSystem,
  temporaryFolder,
  untilStored,
} from '../test/system.ts';
import { startLoad } from './load.ts';
import { median, type Report, spread, whole } from './report.ts';

const MB = 1024 * 1024;
const RECORDS = 200_000;
const APPEND = 1_000;
const ROUNDS = 5;
const SYNC_ROUNDS = 25;
const SYNCS = ['fsync_after_insert', 'fsync_part_directory'];
const BATCH = { rowsMax: 20_000, bytesMax: 16 * MB, intervalMs: 40 };

const WAITING = 1_000_000;
const ARRIVING_PER_SECOND = 10_000;
const USER_AGENT =
  'Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36';

export async function measureExactlyOnce(): Promise<Report[]> {
  return [await measureCost(), await measureSync(), await measureRecovery()];
}

/** Records as the collector makes them, each with an id of its own. */
function makeRecords(folder: string): NewRecord[] {
  const nowMs = realClock.now();
  const arrival: Arrival = {
    projectId: 'shop',
    receivedAtMs: nowMs,
    sentAtMs: nowMs,
    address: '84.17.49.99',
    userAgent: USER_AGENT,
    fromPage: true,
  };
  const putAll = openSteps({ clock: realClock, dataFolder: folder }).map((step) => step(arrival));
  const receipt = { project_id: 'shop', received_at: nowMs, escaped: false };
  return createShop({ seed: 1 })
    .nextEvents(nowMs, RECORDS)
    .map((input) => {
      const event = parseEvent(input, receipt);
      if ('reason' in event) throw new Error(event.reason);
      for (const put of putAll) put(event);
      const key = recordKey('shop', event.event_id ?? '');
      return { key, bytes: encodeRecord({ event: event as Event }), timeMs: nowMs };
    });
}

interface Parts {
  store: Store;
  records: Records;
  made: readonly NewRecord[];
  /** A new log in a folder of its own; closed by the caller. */
  openLog(disk?: Disk): Promise<Log>;
}

/** An engine with its tables, and what is put through it. */
async function withParts<T>(work: (parts: Parts) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'clickstream-bench-'));
  const logger = createLogger('error');
  const engine = await startEngine({
    folder: join(folder, 'store'),
    port: 0,
    memoryBytesMax: 640 * MB,
    readers: 2,
    logger,
    clock: realClock,
  });
  const { name: user, password } = engine.owner;
  const store = createClickHouseStore({ url: engine.url, user, password, database: 'clickstream' });
  try {
    await store.migrate();
    return await work({
      store,
      records: createRecords(store),
      made: makeRecords(folder),
      openLog: async (disk = realDisk) =>
        openFileLog({
          folder: await mkdtemp(join(folder, 'log-')),
          partitions: 1,
          segmentBytes: 64 * MB,
          keepMs: 3_600_000,
          keepBytes: 1024 * MB,
          keepAlwaysMs: 3_600_000,
          bytesInFlightMax: 64 * MB,
          disk,
          clock: realClock,
          logger,
          onFatal: (error) => {
            throw error;
          },
        }),
    });
  } finally {
    await store.close();
    await engine.close();
    await rm(folder, { recursive: true, force: true });
  }
}

function measureCost(): Promise<Report> {
  return withParts(async ({ store, records, made, openLog }) => {
    const rates: Record<'bare' | 'whole', number[]> = { bare: [], whole: [] };
    for (let round = 0; round < ROUNDS * 2; round++) {
      const log = await openLog();
      for (let at = 0; at < made.length; at += APPEND)
        await log.append(made.slice(at, at + APPEND));
      const how = round % 2 === 0 ? 'bare' : 'whole';
      const startMs = performance.now();
      await (how === 'bare' ? insertBare(log, records) : processAll(log, records));
      rates[how].push((RECORDS * 1000) / (performance.now() - startMs));
      await log.close();
      // Nothing is known of the ids the next time, and no merge of this round runs in it.
      await store.command('TRUNCATE TABLE records');
    }
    const cost = 1 - median(rates.whole) / median(rates.bare);
    return {
      title: 'What exactly once costs',
      says: `${whole(RECORDS)} records of the log into the store, in batches of up to ${whole(BATCH.rowsMax)}: by a bare loop that reads, decodes and inserts, and by the processor with intent, fence, duplicates, confirmation and commit; ${ROUNDS} rounds each, in turns. Goal: at most 15 % less.`,
      columns: ['', 'events/s, median (range)', 'less'],
      rows: [
        ['bare loop', spread(rates.bare), ''],
        ['processor', spread(rates.whole), `${(cost * 100).toFixed(1)} %`],
      ],
    };
  });
}

/** The same with every flush left out: what it costs to survive a power failure. */
function measureSync(): Promise<Report> {
  return withParts(async ({ store, made, openLog }) => {
    await store.command(
      `CREATE TABLE unsynced AS records SETTINGS ${SYNCS.map((name) => `${name} = 0`)}`,
    );
    const rows: string[][] = [];
    const add = (name: string, synced: number[], unsynced: number[]): void => {
      const times = median(synced) / median(unsynced);
      rows.push([name, spread(synced, 2), spread(unsynced, 2), `${times.toFixed(1)} ×`]);
    };
    for (const count of [1_000, 20_000]) {
      const lines = rowsOf(made.slice(0, count).map(({ bytes }) => bytes));
      const ms: Record<'records' | 'unsynced', number[]> = { records: [], unsynced: [] };
      for (let round = 0; round < SYNC_ROUNDS; round++) {
        for (const table of ['records', 'unsynced'] as const) {
          const startMs = performance.now();
          await store.insert(table, COLUMNS, lines);
          ms[table].push(performance.now() - startMs);
        }
      }
      add(`insert of ${whole(count)} rows, ms`, ms.records, ms.unsynced);
    }
    const unflushed: Disk = {
      ...realDisk,
      open: async (path, how) => ({
        ...(await realDisk.open(path, how)),
        fdatasync: async () => undefined,
      }),
    };
    const [synced, unsynced] = [await openLog(), await openLog(unflushed)];
    const ms: [number[], number[]] = [[], []];
    for (let round = 0; round < SYNC_ROUNDS; round++) {
      for (const [i, log] of [synced, unsynced].entries()) {
        const startMs = performance.now();
        await log.append(made.slice(0, 50));
        ms[i]?.push(performance.now() - startMs);
      }
    }
    add('append of 50 events, one request alone, ms', ...ms);
    await synced.close();
    await unsynced.close();
    return {
      title: 'What surviving a power failure costs',
      says: `Inserts into the table as it is, and into one with ${SYNCS.join(', ')} at 0; appends to the log, and to one whose fdatasync does nothing; ${SYNC_ROUNDS} each, in turns. A kill -9 is survived either way.`,
      columns: ['', 'flushed', 'not flushed', 'cost'],
      rows,
    };
  });
}

function rowsOf(records: readonly Uint8Array[], from = 0): string[] {
  const place = { log_id: 0, log_partition: 0, batch_id: 1, owner: 0 };
  return records.flatMap((bytes, i) => {
    const wire = decodeRecord(bytes);
    if ('rejected' in wire) return [];
    return [JSON.stringify(storedRow(wire, { ...place, log_offset: from + i }))];
  });
}

/** At most once, at least once: whatever comes. */
async function insertBare(log: Log, records: Records): Promise<void> {
  const end = (await log.stats()).ends[0] ?? 0;
  const limits = { recordsMax: BATCH.rowsMax, bytesMax: BATCH.bytesMax, waitMs: 0 };
  for (let at = 0; at < end; ) {
    const read = await log.read(0, at, limits);
    await records.insert(
      { logId: 0, partition: 0 },
      rowsOf(
        read.map(({ bytes }) => bytes),
        at,
      ),
    );
    at += read.length;
  }
}

async function processAll(log: Log, records: Records): Promise<void> {
  const ended = new AbortController();
  const done = Promise.withResolvers<void>();
  const end = (await log.stats()).ends[0] ?? 0;
  const watched: Log = {
    ...bound(log),
    async commit(partition, offset, note) {
      await log.commit(partition, offset, note);
      if (offset === end) done.resolve();
    },
  };
  const processor = createProcessor({
    log: watched,
    records,
    clock: realClock,
    logger: createLogger('error'),
    metrics: createMetrics(),
    batchRowsMax: BATCH.rowsMax,
    batchBytesMax: BATCH.bytesMax,
    batchIntervalMs: BATCH.intervalMs,
    window: windowLimits(86_400_000, 256 * MB),
  });
  const running = processor.run(ended.signal);
  await Promise.race([done.promise, running]);
  ended.abort();
  await running;
}

/** The log's methods, which live on its class, as an object to change one of. */
function bound(log: Log): Log {
  return {
    id: log.id,
    partitions: log.partitions,
    isExclusive: true,
    own: (...asked) => log.own(...asked),
    append: (records) => log.append(records),
    read: (...asked) => log.read(...asked),
    commit: (...asked) => log.commit(...asked),
    committed: (partition) => log.committed(partition),
    offsetSince: (...asked) => log.offsetSince(...asked),
    stats: () => log.stats(),
    close: () => log.close(),
  };
}

async function measureRecovery(): Promise<Report> {
  const data = await temporaryFolder('bench-recovery');
  const ports = {
    CLICKSTREAM_PORT: String(await freePort()),
    CLICKSTREAM_ENGINE_PORT: String(await freePort()),
  };
  const load = startLoad();
  const key = 'shop-dev-key';
  try {
    const collector = await startSystem(data, { ...ports, CLICKSTREAM_ROLES: 'collect' });
    const { url } = collector;
    let accepted = 0;
    for (let seed = 1; accepted < WAITING; seed++) {
      const order = { url, key, batch: 500, connections: 4, eventsPerSecond: 0, seed };
      accepted += (await load.run({ ...order, seconds: 2 })).accepted;
    }
    await collector.kill();

    const startMs = performance.now();
    const system = spawnSystem(data, ports);
    await untilAnswered(() => fetch(`${url}/v1/events?key=${key}`, { method: 'POST', body: ONE }));
    const takesMs = performance.now() - startMs;
    await untilAnswered(() => fetch(`${url}/api/projects/shop/totals`));
    const answersMs = performance.now() - startMs;
    const running = load.run({
      ...{ url, key, batch: 50, connections: 16, seed: 99 },
      ...{ eventsPerSecond: ARRIVING_PER_SECOND, seconds: 10 },
    });
    await system.ready();
    const readyMs = performance.now() - startMs;
    const { accepted: arrived, seconds } = await running;
    await untilStored(system);
    const caughtUpMs = performance.now() - startMs;
    await system.stop();
    const perSecond = ((accepted + arrived) * 1000) / caughtUpMs;
    const times = perSecond / ARRIVING_PER_SECOND;
    const secondsOf = (ms: number) => `${(ms / 1000).toFixed(2)} s`;
    return {
      title: 'After a kill, with a million records waiting',
      says: `${whole(accepted)} acknowledged records wait when the system is started again after kill -9; then ${whole(arrived / seconds)} events/s come in while it catches up.`,
      columns: ['', 'measured', 'goal'],
      rows: [
        ['start to the first 202', secondsOf(takesMs), '≤ 2 s'],
        ['start to the first answer of a question', secondsOf(answersMs), '≤ 2 s'],
        ['start to /ready', secondsOf(readyMs), ''],
        ['start to nothing waiting', secondsOf(caughtUpMs), ''],
        [
          'processed a second meanwhile',
          `${whole(perSecond)} (${times.toFixed(1)} × what comes in)`,
          '≥ 2 ×',
        ],
      ],
    };
  } finally {
    await load.close();
    await removeFolder(data);
  }
}

const ONE = JSON.stringify({ event_name: 'recovery', event_id: 'recovery' });

async function untilAnswered(ask: () => Promise<Response>): Promise<void> {
  for (;;) {
    // Refused until it listens.
    const answer = await ask().catch(() => undefined);
    await answer?.arrayBuffer();
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
