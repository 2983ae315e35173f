/**
 * The log on Kafka: a cluster of two brokers and three controllers, the whole system and the load
 * on the same two cores. How much goes through, beside a log in files; how soon an event can be
 * queried; what it takes in memory; how long acknowledgements pause when a node dies; and what a
 * second processor adds.
 */
import { join } from 'node:path';
import { startKafka, whyNoKafka } from '../kafka/cluster.ts';
import {
  removeFolder,
  type SystemProcess,
  startSystem,
  temporaryFolder,
  untilStored,
} from '../test/system.ts';
import { type KafkaBench, logOf, PARTITIONS } from './cluster.ts';
import { measureFailover } from './failover.ts';
import { probeStore } from './freshness.ts';
import { startLoad } from './load.ts';
import { measureProcessors } from './processors.ts';
import { median, percentile, type Report, spread } from './report.ts';

const ROUNDS = 5;
const SECONDS = 8;
const GOAL = 10_000;
const FRESH_SECONDS = 6;
const FRESH_RATES = [1_000, 5_000] as const;
const KEYS = 'shop:bench-key,probe:probe-key';
const MB = 1024 * 1024;

/** Two systems that differ in their log alone. */
interface Systems {
  kafka: SystemProcess;
  files: SystemProcess;
}

export async function measureKafka(): Promise<Report[]> {
  const why = await whyNoKafka();
  if (why !== undefined) {
    process.stderr.write(`bench: without kafka: ${why}\n`);
    return [];
  }
  const folder = await temporaryFolder('bench-kafka');
  const kafka = await startKafka({ folder: join(folder, 'kafka'), layout: 'cluster' });
  const load = startLoad();
  const bench = { kafka, load, folder };
  try {
    return [
      ...(await measureSystems(bench)),
      await measureFailover(bench),
      await measureProcessors(bench),
    ];
  } finally {
    await load.close();
    await kafka.close();
    await removeFolder(folder);
  }
}

export async function measureSystems(bench: KafkaBench): Promise<Report[]> {
  const { folder } = bench;
  const log = { CLICKSTREAM_LOG: logOf(bench, 'whole') };
  const files = await startSystem(join(folder, 'files'), { CLICKSTREAM_KEYS: KEYS });
  const kafka = await startSystem(join(folder, 'system'), { CLICKSTREAM_KEYS: KEYS, ...log });
  try {
    const systems = { kafka, files };
    return [
      await measureThroughput(bench, systems),
      await measureMemory(bench, systems),
      await measureFreshness(bench, systems),
    ];
  } finally {
    await kafka.stop();
    await files.stop();
  }
}

async function measureThroughput(bench: KafkaBench, systems: Systems): Promise<Report> {
  const { load } = bench;
  const logs = ['files', 'kafka'] as const;
  const rates = { files: [] as number[], kafka: [] as number[] };
  const p99s = { files: [] as number[], kafka: [] as number[] };
  const order = { key: 'bench-key', batch: 50, connections: 32, eventsPerSecond: 0 };
  // The first round warms up.
  for (let round = 0; round <= ROUNDS; round++) {
    for (const log of logs) {
      const { url } = systems[log];
      const startMs = performance.now();
      const seconds = round === 0 ? 2 : SECONDS;
      const result = await load.run({ ...order, url, seconds, seed: 1_000 + round });
      await untilStored(systems[log]);
      if (round === 0) continue;
      rates[log].push((result.accepted * 1000) / (performance.now() - startMs));
      p99s[log].push(percentile(result.latencies_ms, 0.99));
    }
  }
  const row = (name: string, log: keyof typeof rates, of: string): string[] => [
    name,
    spread(rates[log]),
    median(p99s[log]).toFixed(0),
    `${((median(rates[log]) / median(rates.files)) * 100).toFixed(0)} %`,
    of,
  ];
  const ofGoal = `${(median(rates.kafka) / GOAL).toFixed(1)} ×`;
  return {
    title: 'Kafka: end to end to the store',
    says: `Events a second from the request until all of them are rows in the store, 50 a request, ${ROUNDS} rounds of ${SECONDS} s each in a closed loop, in turns. The log on Kafka has ${PARTITIONS} partitions, and every record is on both brokers before its 202; brokers, controllers and load are on the same two cores. Goal: 10,000.`,
    columns: ['log', 'events/s, median (range)', 'p99 of the 202, ms', 'of files', 'of the goal'],
    rows: [row('Kafka', 'kafka', ofGoal), row('files', 'files', '')],
  };
}

async function measureFreshness(bench: KafkaBench, systems: Systems): Promise<Report> {
  const { load } = bench;
  const rows: string[][] = [];
  for (const eventsPerSecond of FRESH_RATES) {
    for (const [name, system] of Object.entries(systems)) {
      const times: number[][] = [];
      for (let round = 0; round < ROUNDS; round++) {
        const order = { url: system.url, key: 'bench-key', batch: 50, connections: 16 };
        const seed = eventsPerSecond + round;
        const running = load.run({ ...order, seed, seconds: FRESH_SECONDS, eventsPerSecond });
        times.push(await probeStore(system, performance.now() + (FRESH_SECONDS - 1) * 1_000));
        const { refused } = await running;
        if (refused > 0) throw new Error(`${refused} events were refused`);
      }
      const at = (share: number): string =>
        median(times.map((each) => percentile(each, share))).toFixed(0);
      rows.push([
        name === 'kafka' ? 'Kafka' : name,
        eventsPerSecond.toLocaleString('en'),
        at(0.5),
        at(0.95),
        at(0.99),
        String(times.flat().length),
        name === 'kafka' && eventsPerSecond === 5_000 ? 'p99 ≤ 500' : '',
      ]);
    }
  }
  return {
    title: 'Kafka: freshness',
    says: `From the 202 of a single event until the start of the first query that finds it; other events come in an open loop of 50 a request. Percentiles are medians of ${ROUNDS} rounds.`,
    columns: ['log', 'events/s meanwhile', 'p50 ms', 'p95 ms', 'p99 ms', 'probes', 'goal, ms'],
    rows,
  };
}

async function measureMemory({ kafka }: KafkaBench, systems: Systems): Promise<Report> {
  const nodes = await kafka.residentBytes();
  const row = (name: string, bytes: number, goal = ''): string[] => [
    name,
    `${(bytes / MB).toFixed(0)} MB`,
    goal,
  ];
  return {
    title: 'Kafka: memory',
    says: 'Resident, right after the load of the section before: of two brokers and three controllers together, and of Clickstream with its embedded engine.',
    columns: ['', 'measured', 'goal'],
    rows: [
      row('brokers and controllers', nodes, '≤ 800 MB'),
      row('Clickstream, log on Kafka', await systems.kafka.residentBytes()),
      row('Clickstream, log in files', await systems.files.residentBytes()),
    ],
  };
}
