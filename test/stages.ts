/**
 * Log, processor and store in one process and without the rest, for tests of what is done to rows
 * that are stored already: a real engine, real file logs, time that stands still.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clock, realClock } from '../src/base/clock.ts';
import { AppError } from '../src/base/errors.ts';
import { createLogger } from '../src/base/logger.ts';
import { createMetrics } from '../src/base/metrics.ts';
import { startEngine } from '../src/engine/start.ts';
import type { Event } from '../src/event/event.ts';
import { encodeRecord, recordKey } from '../src/event/wire.ts';
import { realDisk } from '../src/log/disk.ts';
import { openFileLog } from '../src/log/file.ts';
import type { Log, NewRecord } from '../src/log/log.ts';
import { createProcessor, type Processor } from '../src/process/process.ts';
import { createRecords } from '../src/process/records.ts';
import { createUpkeep, type Upkeep } from '../src/process/upkeep/upkeep.ts';
import { windowLimits } from '../src/process/window/window.ts';
import { createClickHouseStore } from '../src/store/clickhouse.ts';
import type { Store } from '../src/store/store.ts';

export const NOW_MS = Date.UTC(2026, 10, 24, 12);
export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;

const logger = createLogger('silent');
export const ALL = { fromMs: undefined, toMs: undefined };

export interface Work {
  store?: Store;
  /** Whether the store has been killed: then nothing is tried again. */
  isKilled?: () => boolean;
  windowMs?: number;
  keepMs?: number;
  nowMs?: number;
  clock?: Clock;
}

export interface Stages {
  store: Store;
  /** Rows and logs of earlier tests go. */
  empty(): Promise<void>;
  openLog(partitions?: number): Promise<Log>;
  /** Lets a processor work while `body` runs, and until nothing waits on the log. */
  process(
    log: Log,
    work?: Work,
    body?: (processor: Processor, upkeep: Upkeep) => Promise<void>,
  ): Promise<void>;
  /** As a command would do it, while no processor works. */
  alone(log: Log, work?: Work): Upkeep;
  /** As a start does it, until it waits for the next day: finishes removals, keeps the limit. */
  startAgain(log: Log, work?: Work): Promise<void>;
  close(): Promise<void>;
}

export async function openStages(): Promise<Stages> {
  const folder = await mkdtemp(join(tmpdir(), 'clickstream-stages-'));
  const engine = await startEngine({
    folder: join(folder, 'store'),
    port: 0,
    memoryBytesMax: 512 * 1024 * 1024,
    readers: 1,
    logger,
    clock: realClock,
  });
  const { name: user, password } = engine.owner;
  const store = createClickHouseStore({
    url: engine.url,
    user,
    password,
    database: 'clickstream',
  });
  await store.migrate();
  const logs: Log[] = [];

  const clockOf = ({ nowMs = NOW_MS, clock = realClock }: Work): Clock => ({
    ...clock,
    now: () => nowMs,
  });

  function upkeepOf(
    log: Log,
    work: Work,
    signal: AbortSignal,
    processor: Processor | undefined,
  ): Upkeep {
    const used = work.store ?? store;
    const records = createRecords(used);
    const partitions = Array.from({ length: log.partitions }, (_, partition) => partition);
    return createUpkeep({
      log,
      store: used,
      records,
      clock: clockOf(work),
      logger,
      windowMs: work.windowMs ?? DAY_MS,
      keepMs: work.keepMs ?? 0,
      signal,
      async own(partition, doing) {
        if (processor !== undefined)
          return processor.between(partition, async (owned, window) => {
            await owned.retake();
            return doing({ owner: owned.owner, suspect: window.suspect });
          });
        const owner = await records.takeOver(await records.registerLog(log.id), partitions);
        return doing({ owner, suspect: () => undefined });
      },
      onErased: async () => processor?.erasedIds.load(),
      isDaily: () => true,
    });
  }

  return {
    store,
    async empty() {
      for (const table of ['records', 'removals', 'logs'])
        await store.command(`TRUNCATE TABLE ${table}`);
    },
    async openLog(partitions = 1) {
      const log = await openFileLog({
        folder: await mkdtemp(join(folder, 'log-')),
        partitions,
        segmentBytes: 1024 * 1024,
        keepMs: 10 * 365 * DAY_MS,
        keepBytes: 1024 ** 3,
        keepAlwaysMs: HOUR_MS,
        bytesInFlightMax: 1024 * 1024,
        disk: realDisk,
        clock: realClock,
        logger,
        onFatal(error) {
          throw error;
        },
      });
      logs.push(log);
      return log;
    },
    async process(log, work = {}, body = async () => undefined) {
      const ended = new AbortController();
      const processor = createProcessor({
        log,
        records: createRecords(work.store ?? store),
        clock: clockOf(work),
        logger,
        metrics: createMetrics(),
        batchRowsMax: 1_000,
        batchBytesMax: 1_000_000,
        batchIntervalMs: 1,
        window: windowLimits(work.windowMs ?? DAY_MS, 1024 * 1024),
      });
      const running = processor.run(ended.signal);
      const upkeep = upkeepOf(log, work, ended.signal, processor);
      await Promise.race([body(processor, upkeep), running]);
      const isWaiting = async () =>
        (await log.stats()).oldestWaitingMs.some((ms) => ms !== undefined);
      while (await isWaiting()) await Promise.race([realClock.sleep(2), running]);
      ended.abort();
      await running;
    },
    alone: (log, work = {}) => upkeepOf(log, work, new AbortController().signal, undefined),
    async startAgain(log, work = {}) {
      const ended = new AbortController();
      const clock: Clock = {
        ...clockOf(work),
        async sleep(ms, signal) {
          if (ms >= DAY_MS || work.isKilled?.()) ended.abort();
          else await realClock.sleep(ms, signal);
        },
      };
      await upkeepOf(log, { ...work, clock }, ended.signal, undefined).run(
        undefined,
        async () => undefined,
      );
    },
    async close() {
      for (const log of logs) await log.close();
      await store.close();
      await engine.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

let made = 0;

export function event(more: Partial<Event> = {}): Event {
  made++;
  return {
    v: 1,
    project_id: 'shop',
    event_id: `e-${made}`,
    session_id: 's',
    visitor_id: 'v',
    event_time: NOW_MS,
    received_at: NOW_MS,
    event_name: 'CLICK',
    ...more,
  };
}

export function record(e: Event): NewRecord {
  return {
    key: recordKey(e.project_id, e.event_id),
    bytes: encodeRecord({ event: e }),
    timeMs: e.received_at,
  };
}

/** An event that was refused, as the collector notes it. */
export function refused(e: Event): NewRecord {
  const { project_id, event_id, received_at } = e;
  const rejected = { project_id, event_id, received_at, field: 'x', payload: '{"secret":1}' };
  const bytes = encodeRecord({ rejected: { ...rejected, reason: 'wrong_type' } });
  return { key: recordKey(project_id, event_id), bytes, timeMs: received_at };
}

/** A store that does `steps` statements that write, and not one more; the last one in silence. */
export function killedAfter(store: Store, steps: number) {
  let done = 0;
  const step = async (work: () => Promise<void>): Promise<void> => {
    if (done < steps) await work();
    done++;
    if (done >= steps) throw new AppError('store_unreachable', 'It was killed.');
  };
  const killed: Store = {
    ...store,
    insert: (...of) => step(() => store.insert(...of)),
    command: (...of) => step(() => store.command(...of)),
  };
  return { store: killed, isKilled: () => done >= steps };
}
