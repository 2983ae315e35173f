/** A Spark that works through a time of a topic once more, and what it says at its end. */
import { type SparkCluster, startSpark } from '../../spark/cluster.ts';

export const TIMEOUT_MS = 900_000;

export interface Times {
  fromMs: number;
  toMs: number;
}

export interface Addresses {
  log: string;
  store: string;
}

export function startJob(
  folder: string,
  { log, store }: Addresses,
  times: Times,
): Promise<SparkCluster> {
  return startSpark({
    folder,
    environment: {
      CLICKSTREAM_LOG: log,
      CLICKSTREAM_STORE: store,
      CLICKSTREAM_SPARK_HISTORY: `${times.fromMs},${times.toMs}`,
    },
    workers: 1,
    isOnce: true,
  });
}

export async function ended({
  driver,
}: SparkCluster): Promise<{ code: number | null; said: string }> {
  const code = await driver.ended();
  return { code, said: await driver.output() };
}
