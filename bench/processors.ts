/**
 * How fast a backlog on Kafka is caught up with by one processor, and by two that share its
 * partitions: the same topic for all, each time with a group and an empty store of its own.
 */
import { join } from 'node:path';
import { createClickHouseStore, readServerAddress } from '../src/store/clickhouse.ts';
import { startEngineServer } from '../test/engine-server.ts';
import { type SystemProcess, startSystem } from '../test/system.ts';
import { type KafkaBench, logOf, PARTITIONS, pause } from './cluster.ts';
import { median, type Report, spread, whole } from './report.ts';

const TOPIC = 'backlog';
const FILL_SECONDS = 8;
const ROUNDS = 3;
const COUNTS = [1, 2] as const;
const LOOK_EVERY_MS = 50;

export async function measureProcessors(bench: KafkaBench): Promise<Report> {
  const waiting = await fill(bench);
  const rates = new Map<number, number[]>(COUNTS.map((count) => [count, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const count of COUNTS)
      rates.get(count)?.push(await catchUp(bench, waiting, count, `${round}-${count}`));
  }
  const [one = [], two = []] = COUNTS.map((count) => rates.get(count));
  const ratio = (median(two) / median(one)).toFixed(2);
  return {
    title: 'Kafka: one processor and two',
    says: `${whole(waiting)} records wait on ${PARTITIONS} partitions; processors that are processes of their own catch up, into an empty store that both reach, with nothing else to do; ${ROUNDS} rounds, in turns. Counted from when each has its share of the partitions. Brokers, store and processors have the same two cores, so this says what sharing costs, not how far it goes.`,
    columns: ['processors', 'events/s, median (range)', 'of one'],
    rows: [
      ['1', spread(one), '1 ×'],
      ['2', spread(two), `${ratio} ×`],
    ],
  };
}

async function fill(bench: KafkaBench): Promise<number> {
  const { load, folder } = bench;
  const collector = await startSystem(join(folder, 'collector'), {
    CLICKSTREAM_ROLES: 'collect',
    CLICKSTREAM_LOG: logOf(bench, TOPIC),
  });
  const order = { url: collector.url, key: 'shop-dev-key', batch: 50, connections: 32 };
  const { accepted } = await load.run({
    ...order,
    seconds: FILL_SECONDS,
    eventsPerSecond: 0,
    seed: 3_000,
  });
  await collector.stop();
  return accepted;
}

/** @returns Events a second. */
async function catchUp(
  bench: KafkaBench,
  waiting: number,
  count: number,
  name: string,
): Promise<number> {
  const engine = await startEngineServer();
  const { url, user, password, database } = readServerAddress(engine.address);
  const store = createClickHouseStore({ url, user, password, database });
  const processors = await Promise.all(
    Array.from({ length: count }, (_, i) =>
      startSystem(join(bench.folder, `processor-${name}-${i}`), {
        CLICKSTREAM_ROLES: 'process',
        CLICKSTREAM_LOG: logOf(bench, TOPIC, `&group=${name}`),
        CLICKSTREAM_STORE: engine.address,
      }),
    ),
  );
  const countRows = async (): Promise<number> => {
    const [row] = await store.select<{ rows: number }>(
      'SELECT toUInt32(count()) AS rows FROM records',
      {},
    );
    return row?.rows ?? 0;
  };
  try {
    while (!processors.every((each) => partitionsOf(each) === PARTITIONS / count))
      await pause(LOOK_EVERY_MS);
    const startMs = performance.now();
    const before = await countRows();
    for (;;) {
      const rows = await countRows();
      if (rows >= waiting) return ((rows - before) * 1000) / (performance.now() - startMs);
      await pause(LOOK_EVERY_MS);
    }
  } finally {
    await store.close();
    await Promise.all(processors.map((each) => each.stop()));
    await engine.close();
  }
}

/** As it has last said. */
function partitionsOf(processor: SystemProcess): number {
  const line = processor
    .output()
    .split('\n')
    .findLast((text) => text.includes('partitions of this process'));
  return line === undefined ? 0 : (JSON.parse(line) as { partitions: number[] }).partitions.length;
}
