/**
 * The cluster of stage.ts with a real Spark that works on the topic: under load, with a processor in
 * TypeScript that can take its place, and a proxy that catches an executor in the middle of an INSERT.
 */

import assert from 'node:assert/strict';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type SparkCluster, startSpark } from '../../spark/cluster.ts';
import { createRandom, type Random } from '../../src/demo/random.ts';
import { type FreezingProxy, type Moment, startFreezingProxy } from '../crash/freezing-proxy.ts';
import { readProgress } from '../crash/judge.ts';
import { removeFolder, temporaryFolder } from '../system.ts';
import { createLoad, type Load, prove } from './load.ts';
import { type Member, type Stage, startStage, until } from './stage.ts';

/** The machine may be busy with other things: starting Spark took a minute and a half. */
export const SPARK_MS_MAX = 900_000;
const LOG_SHOWN_MAX = 20_000;
export const MOMENTS: readonly Moment[] = [
  'before it is sent',
  'in the middle of its body',
  'before its answer arrives',
];

export interface SparkStage {
  readonly stage: Stage;
  readonly topic: string;
  readonly spark: SparkCluster;
  /** Where Spark's folder is. */
  readonly folder: string;
  readonly load: Load;
  readonly query: Member;
  /** A processor in TypeScript; it is not started. */
  readonly processor: Member;
  readonly random: Random;
  /** Of the log's partitions, by now. */
  ends(): Promise<number[]>;
  /** Resolves when all before these ends is committed, or before those of now. */
  worksOn(ends?: readonly number[]): Promise<void>;
  /** Freezes an executor, or this member, in its next INSERT; resolves with its process id. */
  caught(moment: Moment, member?: Member): Promise<number>;
  /** Lets go of it, dead or alive, and of its INSERT. */
  letGo(): void;
  /** Resolves when the group has no member: brokers wait for one that was killed. */
  isLeft(): Promise<void>;
  /** Ends the load: everything is stored once. */
  allOnce(t: TestContext, what: string): Promise<void>;
  close(): Promise<void>;
}

/** @param records the most of a micro-batch */
export async function startSparkStage(topic: string, records: number): Promise<SparkStage> {
  const closers: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.toReversed()) await closer();
  };
  try {
    const folder = await temporaryFolder(topic);
    closers.push(() => removeFolder(folder));
    const stage = await startStage(topic);
    closers.push(stage.close);
    const proxy: FreezingProxy = await startFreezingProxy(stage.storeAccess.url);
    closers.push(proxy.close);
    const environment = stage.environment(topic);
    const address = new URL(stage.storeAddress);
    address.port = String(proxy.port);
    const processing = { ...environment, CLICKSTREAM_STORE: `${address}` };
    const member = (role: string, settings = environment) =>
      stage.member(role, { ...settings, CLICKSTREAM_ROLES: role });
    const [collector, query, processor] = [
      await member('collect'),
      await member('query'),
      await member('process', processing),
    ];
    await Promise.all([collector.start(), query.start()]);
    const spark = await startSpark({
      folder,
      environment: { ...processing, CLICKSTREAM_SPARK_RECORDS: String(records) },
    });
    closers.push(spark.close);
    const load = createLoad(topic, [collector]);
    closers.push(async () => load.giveUp());
    const seed = Number(process.env.CLICKSTREAM_TEST_SEED ?? Date.now() % 2 ** 31);
    const ends = async (): Promise<number[]> => {
      let found: number[] = [];
      await until(async () => {
        found = (await readProgress(query.url))?.ends ?? [];
        return found.length > 0;
      });
      return found;
    };
    return {
      stage,
      topic,
      spark,
      folder,
      load,
      query,
      processor,
      random: createRandom(seed),
      ends,
      async worksOn(before) {
        const past = before ?? (await ends());
        const hasWorked = until(async () => {
          assert.notEqual(spark.driver.pid, undefined, 'the job has ended');
          const { committed = [] } = (await readProgress(query.url)) ?? {};
          return past.every((end, i) => (committed[i] ?? 0) >= end);
        });
        await hasWorked.catch(async (cause: Error) => {
          const log = await readFile(join(folder, 'job', 'logs', 'spark.log'), 'utf8');
          const said = `${await spark.driver.output()}${log.slice(-LOG_SHOWN_MAX)}`;
          throw new Error(`the job does not work on: ${cause.message}\n${said}`, { cause });
        });
      },
      caught: (moment, member) =>
        proxy.freeze(async (port) => member?.pid ?? connected(port, proxy.port, spark), moment),
      letGo: () => proxy.thaw(),
      isLeft: () =>
        until(async () => {
          const groups = await stage.admin.describeGroups({ groups: [topic] });
          return groups.get(topic)?.members.size === 0;
        }),
      async allOnce(t, what) {
        const { events, duplicates, beyond } = await prove({ stage, topic, query, load });
        t.diagnostic(
          `${what}; seed ${seed}; so far ${events} events, ${duplicates} duplicates, ${beyond} records beyond what was sent`,
        );
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The executor that has the connection from this port to that one. */
async function connected(
  from: number,
  to: number,
  spark: SparkCluster,
): Promise<number | undefined> {
  const [local, remote] = [from, to].map(
    (port) => `:${port.toString(16).toUpperCase().padStart(4, '0')}`,
  ) as [string, string];
  const table = (await readFile('/proc/net/tcp', 'utf8')).split('\n');
  const rows = table.map((line) => line.trim().split(/\s+/));
  const inode = rows.find(([, a = '', b = '']) => a.endsWith(local) && b.endsWith(remote))?.[9];
  for (const pid of await spark.executors()) {
    const files = join('/proc', String(pid), 'fd');
    for (const name of await readdir(files).catch(() => [])) {
      const path = await readlink(join(files, name)).catch(() => '');
      if (path === `socket:[${inode}]`) return pid;
    }
  }
  return undefined;
}
