/**
 * Durable acknowledgements: how many events a second the collector answers with 202, each after its
 * fdatasync, beside the machine's own ceiling (ceiling.ts), in turns, under the same load.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { removeFolder, startSystem, temporaryFolder } from '../test/system.ts';
import { type LoadResult, startLoad } from './load.ts';
import { median, percentile, type Report, spread } from './report.ts';

const ROUNDS = 5;
const ORDER = { key: 'shop-dev-key', batch: 50, connections: 64, seconds: 3, eventsPerSecond: 0 };

/** From the least to the most that is done with an event before it is acknowledged. */
const CASES = [
  { name: 'ceiling: bodies unread', path: '/' },
  { name: 'ceiling: JSON.parse of bodies', path: '/parsed' },
  { name: 'ceiling: JSON.parse, JSON.stringify of each event', path: '/rewritten' },
  { name: 'collector', path: undefined },
] as const;

export async function measureAcks(): Promise<Report> {
  const folder = await temporaryFolder('bench-acks');
  const collector = await startSystem(join(folder, 'data'), { CLICKSTREAM_ROLES: 'collect' });
  const ceiling = await startCeiling(join(folder, 'ceiling'));
  const load = startLoad();
  const results: LoadResult[][] = CASES.map(() => []);
  try {
    // The first round warms up.
    for (let round = 0; round <= ROUNDS; round++) {
      for (const [i, { path }] of CASES.entries()) {
        const target = path === undefined ? { url: collector.url } : { url: ceiling.url, path };
        const result = await load.run({ ...ORDER, ...target, seed: round + 1 });
        if (round > 0) results[i]?.push(result);
      }
    }
  } finally {
    await load.close();
    await ceiling.close();
    await collector.stop();
    await removeFolder(folder);
  }
  const ratesOf = (i: number) => (results[i] ?? []).map((r) => r.accepted / r.seconds);
  const latency = (i: number, share: number): string =>
    median((results[i] ?? []).map((r) => percentile(r.latencies_ms, share))).toFixed(1);
  const ours = median(ratesOf(CASES.length - 1));
  return {
    title: 'Durable acknowledgements',
    says: `Events answered with 202 after their fdatasync, ${ORDER.batch} a request over ${ORDER.connections} connections, one process, the load on the same two cores. Ceilings are \`node:http\` with the same group commit and none of our code. Goal: at least 40 % of the first; it is missed. To read bodies and to write events as JSON brings one thread down to the third ceiling, and to check and complete an event costs as much again. More threads would not close the gap here: 40 % of the first ceiling at the collector’s cost of an event is more than two cores, and the load needs its share of them.`,
    columns: ['', 'events/s, median (range)', 'p50 ms', 'p99 ms', 'the collector has of it'],
    rows: CASES.map(({ name }, i) => [
      name,
      spread(ratesOf(i)),
      latency(i, 0.5),
      latency(i, 0.99),
      `${((ours / median(ratesOf(i))) * 100).toFixed(0)} %`,
    ]),
  };
}

async function startCeiling(file: string) {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'ceiling.ts'), file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [port] = (await once(child.stdout, 'data')) as [Buffer];
  return {
    url: `http://127.0.0.1:${port.toString().trim()}`,
    async close() {
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      await exited;
    },
  };
}
