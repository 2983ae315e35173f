/**
 * What the benches of Kafka share: one cluster, one load, and the address of a log on it.
 */
import type { KafkaCluster } from '../kafka/cluster.ts';
import type { Load } from './load.ts';

export const PARTITIONS = 4;

export interface KafkaBench {
  kafka: KafkaCluster;
  load: Load;
  /** For the folders of the systems. */
  folder: string;
}

/** @param more further parameters, each after a `&` */
export function logOf({ kafka }: KafkaBench, topic: string, more = ''): string {
  return `kafka://${kafka.brokers}/${topic}?partitions=${PARTITIONS}${more}`;
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
