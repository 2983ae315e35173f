/**
 * Spark as the processor, on the same two cores as brokers, store and load: how soon an event can be
 * queried, how fast a backlog is caught up with, and what a second of processor time brings, beside
 * the processor in TypeScript and beside the job shaped as the original's.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startKafka } from '../kafka/cluster.ts';
import { residentBytesOf } from '../local/child.ts';
import { startSpark, whyNoSpark } from '../spark/cluster.ts';
import { readUsers } from '../src/engine/users.ts';
import { createClickHouseStore, readServerAddress } from '../src/store/clickhouse.ts';
import { startEngineServer } from '../test/engine-server.ts';
import { removeFolder, startSystem, temporaryFolder } from '../test/system.ts';
import { type KafkaBench, logOf, PARTITIONS, pause } from './cluster.ts';
import { probeStore } from './freshness.ts';
import { startLoad } from './load.ts';
import { median, percentile, type Report, whole } from './report.ts';

const TOPIC = 'spark-backlog';
const WAITING = 500_000;
/** Of the topic that the freshness is measured on. */
const FRESH_PER_SECOND = 500;
const FRESH_SECONDS = 20;
const FRESH_ROUNDS = 3;
/** As the other sections on freshness have it, and as many small senders would. */
const FRESH_BATCHES = [50, 10] as const;
/** Of times that are some hundreds; to look more often would be most of the load. */
const FRESH_LOOK_EVERY_MS = 25;
const LOOK_EVERY_MS = 50;
/** Of each worker, as `npm run spark` has it. */
const CORES = 2;
const KEYS = 'shop:bench-key,probe:probe-key';
const MB = 1024 * 1024;
/** Of `/proc`: the time of processes is counted in hundredths of a second on every Linux. */
const TICKS_PER_SECOND = 100;

/** The settings of the job, and what takes part in it. */
interface Shape {
  name: string;
  environment: Record<string, string>;
  workers: number;
  /** As many rows are enough. */
  rows: number;
}

const CATCHING_UP = '100000';
const ORIGINAL = { CLICKSTREAM_SPARK_TRIGGER_MS: '20000', CLICKSTREAM_SPARK_RECORDS: '1000' };
const SHAPES: readonly Shape[] = [
  {
    name: 'Spark, 100,000 records a trigger',
    environment: { CLICKSTREAM_SPARK_RECORDS: CATCHING_UP },
    workers: 2,
    rows: WAITING,
  },
  {
    name: 'Spark, 1,000 records a trigger (the default)',
    environment: {},
    workers: 2,
    rows: WAITING / 10,
  },
  {
    name: 'Spark as the original: 1,000 records every 20 s, one task at a time',
    environment: ORIGINAL,
    workers: 1,
    rows: 5_000,
  },
];

export async function measureSpark(): Promise<Report[]> {
  const why = await whyNoSpark();
  if (why !== undefined) {
    process.stderr.write(`bench: without spark: ${why}\n`);
    return [];
  }
  const folder = await temporaryFolder('bench-spark');
  const kafka = await startKafka({ folder: join(folder, 'kafka'), layout: 'cluster' });
  const load = startLoad();
  const bench = { kafka, load, folder };
  try {
    return [await measureFreshness(bench), await measureBacklog(bench)];
  } finally {
    await load.close();
    await kafka.close();
    await removeFolder(folder);
  }
}

async function measureFreshness(bench: KafkaBench): Promise<Report> {
  const { folder, load } = bench;
  const log = logOf(bench, 'spark-fresh');
  const system = await startSystem(join(folder, 'system'), {
    CLICKSTREAM_KEYS: KEYS,
    CLICKSTREAM_LOG: log,
    CLICKSTREAM_ROLES: 'collect,query',
  });
  const rows: string[][] = [];
  try {
    const spark = await startSpark({
      folder: join(folder, 'spark-fresh'),
      coresPerWorker: CORES,
      environment: {
        CLICKSTREAM_LOG: log,
        CLICKSTREAM_STORE: storeOf(system.data, system.engineUrl),
      },
    });
    let seed = 7_000;
    const round = async (batch: number): Promise<number[]> => {
      const order = { url: system.url, key: 'bench-key', batch, connections: 16, seed: seed++ };
      const running = load.run({
        ...order,
        seconds: FRESH_SECONDS,
        eventsPerSecond: FRESH_PER_SECOND,
      });
      const times = await probeStore(
        system,
        performance.now() + (FRESH_SECONDS - 1) * 1_000,
        FRESH_LOOK_EVERY_MS,
      );
      const { refused } = await running;
      if (refused > 0) throw new Error(`${refused} events were refused`);
      return times;
    };
    // JVMs are slow at first.
    await round(FRESH_BATCHES[0]);
    for (const batch of FRESH_BATCHES) {
      const rounds: number[][] = [];
      for (let i = 0; i < FRESH_ROUNDS; i++) rounds.push(await round(batch));
      const at = (share: number): string =>
        median(rounds.map((each) => percentile(each, share))).toFixed(0);
      const times = [0.5, 0.95, 0.99].map(at);
      const count = String(rounds.flat().length);
      rows.push([String(FRESH_PER_SECOND), String(batch), ...times, count, 'p95 ≤ 1,000']);
    }
    await spark.stop();
  } finally {
    await system.stop();
  }
  return {
    title: 'Spark: freshness',
    says: `From the 202 of a single event until the start of the first query that finds it, the next micro-batch as soon as the last one is done; other events come in an open loop. Percentiles are medians of ${FRESH_ROUNDS} rounds of ${FRESH_SECONDS} s, after one that warms the JVMs up; the second line was measured after the first.`,
    columns: [
      'events/s meanwhile',
      'in a request',
      'p50 ms',
      'p95 ms',
      'p99 ms',
      'probes',
      'goal, ms',
    ],
    rows,
  };
}

function storeOf(data: string, engineUrl: string): string {
  const { name, password } = readUsers(join(data, 'store')).owner;
  return `http://${name}:${encodeURIComponent(password)}@${new URL(engineUrl).host}/clickstream`;
}

interface Caught {
  eventsPerSecond: number;
  eventsPerCpuSecond: number;
  residentBytes: number;
}

async function measureBacklog(bench: KafkaBench): Promise<Report> {
  await fill(bench);
  const caught: [name: string, Caught][] = [
    ['TypeScript', await catchUp(bench, 'typescript', WAITING, startTypeScript)],
  ];
  for (const [i, shape] of SHAPES.entries()) {
    const start: Start = (environment, folder) => startJob(shape, environment, folder);
    caught.push([shape.name, await catchUp(bench, `spark-${i}`, shape.rows, start)]);
  }
  const [, typescript] = caught[0] ?? [];
  const [, original] = caught.at(-1) ?? [];
  const ratio = (value: number, of: number | undefined): string =>
    of === undefined ? '' : `${(value / of).toFixed(value / of < 10 ? 2 : 0)} ×`;
  return {
    title: 'Spark: a backlog, and what a second of processor time brings',
    says: `The same topic of ${whole(WAITING)} records or more on ${PARTITIONS} partitions for all, each time with a group and an empty store of its own; counted from the first row that is stored to the last of ${whole(WAITING)} (${SHAPES.map(({ rows }) => whole(rows)).join(', ')} for Spark, in the order of the rows). Processor time and memory are those of the processor alone: one process in TypeScript; driver, executors, workers and master with Spark. Goal of a backlog: 15,000 events/s.`,
    columns: [
      'processor',
      'events/s',
      'events per CPU second',
      'of TypeScript',
      'of the original',
      'resident',
    ],
    rows: caught.map(([name, each]) => [
      name,
      whole(each.eventsPerSecond),
      whole(each.eventsPerCpuSecond),
      ratio(each.eventsPerCpuSecond, typescript?.eventsPerCpuSecond),
      ratio(each.eventsPerCpuSecond, original?.eventsPerCpuSecond),
      `${(each.residentBytes / MB).toFixed(0)} MB`,
    ]),
  };
}

async function fill(bench: KafkaBench): Promise<void> {
  const { load, folder } = bench;
  const collector = await startSystem(join(folder, 'collector'), {
    CLICKSTREAM_ROLES: 'collect',
    CLICKSTREAM_LOG: logOf(bench, TOPIC),
  });
  const order = { url: collector.url, key: 'shop-dev-key', batch: 50, connections: 32 };
  for (let sent = 0, round = 0; sent < WAITING; round++) {
    const seed = 8_000 + round;
    sent += (await load.run({ ...order, seconds: 4, eventsPerSecond: 0, seed })).accepted;
  }
  await collector.stop();
}

interface Running {
  /** Of all its processes. */
  pids(): Promise<number[]>;
  stop(): Promise<unknown>;
}

type Start = (environment: Record<string, string>, folder: string) => Promise<Running>;

async function startTypeScript(
  environment: Record<string, string>,
  folder: string,
): Promise<Running> {
  const processor = await startSystem(folder, { ...environment, CLICKSTREAM_ROLES: 'process' });
  return { pids: processor.pids, stop: processor.stop };
}

async function startJob(
  { environment: own, workers }: Shape,
  environment: Record<string, string>,
  folder: string,
): Promise<Running> {
  const spark = await startSpark({
    folder,
    workers,
    coresPerWorker: workers === 1 ? 1 : CORES,
    environment: { ...environment, ...own },
  });
  const { master, driver } = spark;
  return {
    async pids() {
      const jvms = [master, driver, ...spark.workers].flatMap(({ pid }) => pid ?? []);
      return [...jvms, ...(await spark.executors())];
    },
    stop: spark.stop,
  };
}

async function catchUp(
  bench: KafkaBench,
  name: string,
  rows: number,
  start: Start,
): Promise<Caught> {
  const engine = await startEngineServer();
  const store = createClickHouseStore(readServerAddress(engine.address));
  await store.migrate();
  const countRows = async (): Promise<number> => {
    const [row] = await store.select<{ rows: number }>('SELECT count() AS rows FROM records');
    return row?.rows ?? 0;
  };
  const environment = {
    CLICKSTREAM_LOG: logOf(bench, TOPIC, `&group=${name}`),
    CLICKSTREAM_STORE: engine.address,
  };
  const running = await start(environment, join(bench.folder, name));
  try {
    let before = 0;
    while (before === 0) before = await countRows();
    const startMs = performance.now();
    const startCpu = await cpuSeconds(await running.pids());
    for (;;) {
      const now = await countRows();
      if (now >= rows) {
        const pids = await running.pids();
        const sizes = await Promise.all(pids.map(residentBytesOf));
        const cpu = (await cpuSeconds(pids)) - startCpu;
        return {
          eventsPerSecond: ((now - before) * 1000) / (performance.now() - startMs),
          eventsPerCpuSecond: (now - before) / cpu,
          residentBytes: sizes.reduce((sum, size) => sum + size, 0),
        };
      }
      await pause(LOOK_EVERY_MS);
    }
  } finally {
    await running.stop();
    await store.close();
    await engine.close();
  }
}

/** What these processes have used since they began, in user and in kernel: `man 5 proc_pid_stat`. */
async function cpuSeconds(pids: readonly number[]): Promise<number> {
  const texts = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/stat`, 'utf8')));
  const ticks = texts.flatMap((text) =>
    // Behind the name, which may hold spaces, from the third field on.
    text
      .slice(text.lastIndexOf(')') + 2)
      .split(' ')
      .slice(11, 13)
      .map(Number),
  );
  return ticks.reduce((sum, each) => sum + each, 0) / TICKS_PER_SECOND;
}
