/**
 * End to end: events a second from the request to the store, sustained, with everything of the
 * system and the load on the same two cores. A round ends when the last event of it is in the
 * store, so nothing is left behind on the log.
 */
import { removeFolder, startSystem, temporaryFolder, untilStored } from '../test/system.ts';
import { startLoad } from './load.ts';
import { median, percentile, type Report, spread } from './report.ts';

const ROUNDS = 5;
const SECONDS = 8;
const GOAL = 20_000;
const CASES = [
  { name: '50 events a request', batch: 50, connections: 32 },
  { name: '1 event a request', batch: 1, connections: 64 },
] as const;

export async function measureThroughput(): Promise<Report> {
  const data = await temporaryFolder('bench-throughput');
  const system = await startSystem(data);
  const load = startLoad();
  const rows: string[][] = [];
  try {
    for (const [i, { name, batch, connections }] of CASES.entries()) {
      const rates: number[] = [];
      const p99s: number[] = [];
      const order = {
        url: system.url,
        key: 'shop-dev-key',
        batch,
        connections,
        eventsPerSecond: 0,
      };
      await load.run({ ...order, seconds: 2, seed: 100 + i });
      await untilStored(system);
      for (let round = 0; round < ROUNDS; round++) {
        const startMs = performance.now();
        const result = await load.run({ ...order, seconds: SECONDS, seed: i * ROUNDS + round + 1 });
        await untilStored(system);
        rates.push((result.accepted * 1000) / (performance.now() - startMs));
        p99s.push(percentile(result.latencies_ms, 0.99));
      }
      const of = `${(median(rates) / GOAL).toFixed(1)} ×`;
      rows.push([name, spread(rates), median(p99s).toFixed(0), of]);
    }
  } finally {
    await load.close();
    await system.stop();
    await removeFolder(data);
  }
  return {
    title: 'End to end to the store',
    says: `Events a second from the request until all of them are rows in the store (fsync before the 202, and again in the store), ${ROUNDS} rounds of ${SECONDS} s in a closed loop, load on the same two cores. Goal: 20,000 in batches.`,
    columns: ['', 'events/s, median (range)', 'p99 of the 202, ms', 'of the goal'],
    rows,
  };
}
