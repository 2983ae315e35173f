/**
 * The whole of it on several processes, for tests: a real Kafka of two brokers and three controllers,
 * a store that is reached over the network, and collectors, processors and a query server, each with
 * a data folder of its own.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Admin, ConnectionPool, GenericError, metadataV12 } from '@platformatic/kafka';
import { type KafkaCluster, startKafka } from '../../kafka/cluster.ts';
import type { KafkaNode } from '../../kafka/node.ts';
import type { Layout } from '../../kafka/properties.ts';
import { freeBase } from '../../local/ports.ts';
import {
  type ClickHouseOptions,
  createClickHouseStore,
  readServerAddress,
} from '../../src/store/clickhouse.ts';
import type { Store } from '../../src/store/store.ts';
import { KEYS } from '../crash/sender.ts';
import { type EngineServer, startEngineServer } from '../engine-server.ts';
import {
  freePort,
  removeFolder,
  type SystemProcess,
  spawnSystem,
  temporaryFolder,
} from '../system.ts';

export const PARTITIONS = 4;
const LOOK_AGAIN_MS = 20;
const UNTIL_MS_MAX = 300_000;
const MAIN = join(import.meta.dirname, '..', '..', 'src', 'main.ts');

type Environment = Readonly<Record<string, string>>;

/** One of the processes: a place that it always comes back to, whatever became of it. */
export interface Member {
  readonly url: string;
  readonly data: string;
  readonly pid: number;
  readonly isRunning: boolean;
  /** As it was started last; resolves when it is ready. */
  start(environment?: Environment): Promise<void>;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  /** SIGTERM; resolves with its exit code. */
  stop(): Promise<number | null>;
  /** Resolves with the exit code when it has ended, by itself or not. */
  ended(): Promise<number | null>;
  /** What it has written since it was started. */
  output(): string;
  /** The partitions that the group has given to it last; none while it does not run. */
  partitions(): number[];
}

export interface Stage {
  readonly kafka: KafkaCluster;
  readonly server: EngineServer;
  readonly admin: Admin;
  readonly store: Store;
  readonly storeAccess: ClickHouseOptions;
  readonly storeAddress: string;
  /** What every process of this topic is started with. */
  environment(topic: string): Environment;
  /** Started with these settings, at once or when it is told to. */
  member(name: string, environment: Environment): Promise<Member>;
  /** `clickstream …` beside the others; resolves with what it prints. */
  command(environment: Environment, ...parameters: string[]): Promise<CommandResult>;
  /** As `untilInSync` below. */
  untilInSync(topics: readonly string[], copies: number, asked: KafkaNode): Promise<void>;
  close(): Promise<void>;
}

export interface CommandResult {
  code: number;
  stdout: string;
  stderr: string;
}

/** @throws when that takes so long that it will never be: the test says what it waited for. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const lastMs = performance.now() + UNTIL_MS_MAX;
  while (!(await isSo())) {
    if (performance.now() > lastMs) throw new Error(`waited in vain for ${isSo}`);
    await sleep(LOOK_AGAIN_MS);
  }
}

export async function startStage(name: string, layout: Layout = 'cluster'): Promise<Stage> {
  const folder = await temporaryFolder(name);
  const members: Member[] = [];
  let kafka: KafkaCluster | undefined;
  let server: EngineServer | undefined;
  const closers: (() => Promise<void>)[] = [() => removeFolder(folder)];
  const close = async (): Promise<void> => {
    await Promise.all(members.map((member) => member.kill()));
    for (const closer of closers.toReversed()) await closer();
  };
  try {
    kafka = await startKafka({ folder: join(folder, 'kafka'), layout });
    closers.push(kafka.close);
    server = await startEngineServer();
    closers.push(server.close);
  } catch (error) {
    await close();
    throw error;
  }
  const cluster = kafka;
  const { brokers } = cluster;
  const { address } = server;
  const admin = new Admin({ clientId: 'test', bootstrapBrokers: brokers.split(','), retries: 100 });
  const storeAccess = readServerAddress(address);
  const store = createClickHouseStore(storeAccess);
  // Before the last one, so that nothing is left where a client does not end.
  closers.splice(1, 0, async () => {
    await store.close();
    await admin.close();
  });
  // Below the ports of outgoing connections, so that nobody takes one while its process is down.
  const base = await freeBase();

  return {
    kafka,
    server,
    admin,
    store,
    storeAccess,
    storeAddress: address,
    environment: (topic) => ({
      CLICKSTREAM_LOG: `kafka://${brokers}/${topic}?partitions=${PARTITIONS}&group=${topic}`,
      CLICKSTREAM_KAFKA_SESSION_MS: '2000',
      CLICKSTREAM_STORE: address,
      CLICKSTREAM_KEYS: Object.entries(KEYS)
        .map(([project, key]) => `${project}:${key}`)
        .join(),
    }),
    async member(of, environment) {
      const port = members.length < 5 ? base + members.length : await freePort();
      const member = createMember(join(folder, of), port, environment);
      members.push(member);
      return member;
    },
    command: (environment, ...parameters) =>
      new Promise((resolve) => {
        const env = {
          PATH: process.env.PATH,
          CLICKSTREAM_DATA: join(folder, 'command'),
          ...environment,
        };
        execFile(process.execPath, [MAIN, ...parameters], { env }, (error, stdout, stderr) =>
          resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr }),
        );
      }),
    untilInSync: (topics, copies, asked) => untilInSync(cluster, topics, copies, asked),
    close,
  };
}

function createMember(data: string, port: number, environment: Environment): Member {
  let system: SystemProcess | undefined;
  let exited: Promise<number | null> = Promise.resolve(null);
  let last = environment;
  const member: Member = {
    data,
    url: `http://127.0.0.1:${port}`,
    get pid() {
      return system?.child.pid ?? 0;
    },
    get isRunning() {
      return system?.child.exitCode === null && system.child.signalCode === null;
    },
    async start(more = {}) {
      last = { ...last, ...more };
      const ports = { CLICKSTREAM_PORT: String(port), CLICKSTREAM_ENGINE_PORT: '0' };
      const started = spawnSystem(data, { ...last, ...ports });
      system = started;
      exited = new Promise((resolve) => started.child.once('exit', resolve));
      await started.ready();
    },
    async kill() {
      system?.child.kill('SIGKILL');
      await exited;
    },
    async stop() {
      system?.child.kill('SIGTERM');
      return exited;
    },
    ended: () => exited,
    output: () => system?.output() ?? '',
    partitions() {
      if (system === undefined || system.child.exitCode !== null) return [];
      if (system.child.signalCode !== null) return [];
      const said = system
        .output()
        .matchAll(/"partitions":\[([\d,]*)\].*partitions of this process/g);
      const list = [...said].at(-1)?.[1] ?? '';
      return list.split(',').filter(Boolean).map(Number);
    },
  };
  return member;
}

/**
 * Resolves when so many brokers hold every partition of these topics, by the word of one of them: one
 * that was frozen knows only how it was.
 */
export async function untilInSync(
  { brokers, nodes }: KafkaCluster,
  topics: readonly string[],
  copies: number,
  asked: KafkaNode,
): Promise<void> {
  const place = nodes.filter(({ role }) => role === 'broker').indexOf(asked);
  const [host = '', port] = (brokers.split(',')[place] ?? '').split(':');
  // Not by the admin, which leaves out the topics of Kafka's own.
  const pool = new ConnectionPool('test');
  await until(async () => {
    try {
      const connection = await pool.get({ host, port: Number(port) });
      const described = await metadataV12.api.async(connection, [...topics]);
      return described.topics.every(({ partitions }) =>
        partitions.every(({ isrNodes }) => isrNodes.length === copies),
      );
    } catch (error) {
      // In the middle of an election, or of a start.
      if (error instanceof Error && GenericError.isGenericError(error)) return false;
      throw error;
    }
  });
  await pool.close();
}
