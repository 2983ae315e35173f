/** The owning of a log that nobody else can have open: every partition, from the start to the end. */
import type { Log } from './log.ts';

export function ownAll(partitions: number): Log['own'] {
  return async (signal, work) => {
    const all = Array.from({ length: partitions }, (_, partition) => work(partition, signal));
    await Promise.all(all);
  };
}
