/**
 * How long acknowledgements pause when a node of Kafka is killed under steady traffic, what its
 * senders see of it, and whether anything that was acknowledged is lost.
 */
import { join } from 'node:path';
import { Admin } from '@platformatic/kafka';
import { openStore, type SystemProcess, startSystem, untilStored } from '../test/system.ts';
import { type KafkaBench, logOf, PARTITIONS, pause } from './cluster.ts';
import { type Report, spread, whole } from './report.ts';

const TOPIC = 'failover';
const ROUNDS = 3;
const EVENTS_PER_SECOND = 300;
const SECONDS = 8;
/** After the load has begun; not so many that it is the same moment of anything each time. */
const KILL_AFTER_MS = 2_000;
const KILL_SPREAD_MS = 700;

type Victim = 'nobody' | 'broker 1' | 'broker 2' | 'the active controller';
const VICTIMS: readonly Victim[] = ['nobody', 'broker 1', 'broker 2', 'the active controller'];

export async function measureFailover(bench: KafkaBench): Promise<Report> {
  const { kafka, load, folder } = bench;
  const system = await startSystem(join(folder, 'failover'), {
    CLICKSTREAM_LOG: logOf(bench, TOPIC),
  });
  const admin = new Admin({ clientId: 'bench', bootstrapBrokers: kafka.brokers.split(',') });
  const gaps = new Map<Victim, number[]>(VICTIMS.map((victim) => [victim, []]));
  const waits = new Map<Victim, number[]>(VICTIMS.map((victim) => [victim, []]));
  const refusals = new Map<Victim, number>(VICTIMS.map((victim) => [victim, 0]));
  let accepted = 0;
  try {
    const order = { url: system.url, key: 'shop-dev-key', batch: 1, connections: 64 };
    const run = async (victim: Victim, seed: number) => {
      await untilInSync(admin);
      const seconds = SECONDS;
      const running = load.run({ ...order, seconds, seed, eventsPerSecond: EVENTS_PER_SECOND });
      await pause(KILL_AFTER_MS + Math.random() * KILL_SPREAD_MS);
      const node = await nodeOf(bench, victim);
      await node?.kill();
      const result = await running;
      accepted += result.accepted;
      // Afterwards: to start a JVM takes more of the two cores than all the rest.
      await node?.start();
      return result;
    };
    // The first one warms up.
    await run('nobody', 2_000);
    for (let round = 0; round < ROUNDS; round++) {
      for (const [i, victim] of VICTIMS.entries()) {
        const result = await run(victim, 2_001 + round * VICTIMS.length + i);
        gaps.get(victim)?.push(result.longest_gap_ms);
        waits.get(victim)?.push(Math.max(...result.latencies_ms));
        refusals.set(victim, (refusals.get(victim) ?? 0) + result.refused);
      }
    }
    await untilStored(system);
    const stored = await countStored(system);
    const spooled = system.output().includes(': spooling') ? 'some' : 'none';
    return {
      title: 'Kafka: when a node dies',
      says: `kill -9 of one node under ${EVENTS_PER_SECOND} requests a second of one event each, in an open loop; ${ROUNDS} times each, in turns, with all replicas in sync before. A broker is given up after 2 s without a heartbeat. Time between two 202 of all senders, and from when a request was due until its 202, each time the longest. Of ${whole(accepted)} events with a 202, ${whole(stored.stored)} are in the store; ${whole(stored.duplicate)} came onto the log twice and were recognised; ${spooled} went over the collector’s spool.`,
      columns: ['killed', 'longest gap, ms', 'longest wait, ms', 'refused', 'goal, ms'],
      rows: VICTIMS.map((victim) => [
        victim,
        spread(gaps.get(victim) ?? []),
        spread(waits.get(victim) ?? []),
        String(refusals.get(victim)),
        victim.startsWith('broker') ? '≤ 3,000' : '',
      ]),
    };
  } finally {
    await admin.close();
    await system.stop();
  }
}

async function nodeOf({ kafka }: KafkaBench, victim: Victim) {
  if (victim === 'nobody') return undefined;
  if (victim === 'the active controller') return kafka.activeController();
  return kafka.nodes.find(({ role, id }) => role === 'broker' && victim.endsWith(String(id)));
}

/**
 * Until every partition has both replicas again. The topic of the group's offsets cannot be asked
 * for: it has little to catch up with, and two seconds more before the next kill.
 */
async function untilInSync(admin: Admin): Promise<void> {
  for (;;) {
    const found = await admin
      .metadata({ topics: [TOPIC], forceUpdate: true })
      .catch(() => undefined);
    const partitions = Object.values(found?.topics.get(TOPIC)?.partitions ?? {});
    if (partitions.length === PARTITIONS && partitions.every(({ isr }) => isr.length === 2)) return;
    await pause(100);
  }
}

async function countStored(system: SystemProcess): Promise<{ stored: number; duplicate: number }> {
  const store = openStore(system);
  try {
    const [row] = await store.select<{ stored: number; duplicate: number }>(
      `SELECT toUInt32(countIf(outcome = 'stored')) AS stored,
         toUInt32(countIf(outcome = 'duplicate')) AS duplicate
       FROM records WHERE project_id = 'shop'`,
      {},
    );
    return row ?? { stored: 0, duplicate: 0 };
  } finally {
    await store.close();
  }
}
