/**
 * Durable acknowledgements: how many events a second the collector answers with 202, each after its
 * fdatasync, beside the machine's own ceiling (ceiling.ts), in turns, under the same load.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { removeFolder, startSystem, temporaryFolder } from '../test/system.ts';
import { type LoadOrder, type LoadResult, startLoad } from './load.ts';
import { median, percentile, type Report, spread } from './report.ts';

const ROUNDS = 5;
const ORDER = { key: 'shop-dev-key', batch: 50, connections: 64, seconds: 3, eventsPerSecond: 0 };

export async function measureAcks(): Promise<Report> {
  const folder = await temporaryFolder('bench-acks');
  const collector = await startSystem(join(folder, 'data'), { CLICKSTREAM_ROLES: 'collect' });
  const ceiling = await startCeiling(join(folder, 'ceiling'));
  const load = startLoad();
  const ours: LoadResult[] = [];
  const raw: LoadResult[] = [];
  try {
    const run = (url: string, seed: number): Promise<LoadResult> => {
      const order: LoadOrder = { ...ORDER, url, seed };
      return load.run(order);
    };
    await run(collector.url, 100);
    await run(ceiling.url, 100);
    for (let seed = 1; seed <= ROUNDS; seed++) {
      ours.push(await run(collector.url, seed));
      raw.push(await run(ceiling.url, seed));
    }
  } finally {
    await load.close();
    await ceiling.close();
    await collector.stop();
    await removeFolder(folder);
  }
  const rate = (rounds: LoadResult[]) => rounds.map(({ accepted, seconds }) => accepted / seconds);
  const latency = (rounds: LoadResult[], share: number) =>
    median(rounds.map(({ latencies_ms }) => percentile(latencies_ms, share))).toFixed(1);
  const share = (median(rate(ours)) / median(rate(raw))) * 100;
  const row = (name: string, rounds: LoadResult[], of: string): string[] => [
    name,
    spread(rate(rounds)),
    latency(rounds, 0.5),
    latency(rounds, 0.99),
    of,
  ];
  return {
    title: 'Durable acknowledgements',
    says: `Events answered with 202 after their fdatasync, ${ORDER.batch} a request over ${ORDER.connections} connections, one collector process, the load on the same two cores. The ceiling is \`node:http\` that writes bodies unread with the same group commit. Goal: at least 40 % of it.`,
    columns: ['', 'events/s, median (range)', 'p50 ms', 'p99 ms', 'of the ceiling'],
    rows: [row('ceiling', raw, '100 %'), row('collector', ours, `${share.toFixed(0)} %`)],
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
