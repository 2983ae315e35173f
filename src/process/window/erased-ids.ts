/**
 * The ids of events that were stored and then erased, for as long as a repeated one is to be
 * recognised: only hashes, because who asked for it asked to be forgotten.
 */
import { createHash } from 'node:crypto';
import type { Records } from '../records.ts';

export interface ErasedIds {
  /** Reads them from the store: at a start, and before rows are erased while events come in. */
  load(): Promise<void>;
  /** When the events of this key were received that are erased; empty for nearly every key. */
  timesOf(key: string): readonly number[];
}

interface ErasedIdsOptions {
  records: Pick<Records, 'erasedIds'>;
  /** What was received before this time is in nobody's window any more. */
  sinceMs: () => Promise<number>;
}

/** Nothing is hashed while nothing was erased. */
const NONE: readonly number[] = [];

export function createErasedIds({ records, sinceMs }: ErasedIdsOptions): ErasedIds {
  let times = new Map<string, { received_ms: number }[]>();
  return {
    async load() {
      times = Map.groupBy(await records.erasedIds(await sinceMs()), (row) => row.id_hash);
    },
    timesOf(key) {
      if (times.size === 0) return NONE;
      // As the store computes it where a removal is recorded.
      const hash = createHash('sha256').update(key).digest('hex');
      return times.get(hash)?.map((row) => row.received_ms) ?? NONE;
    },
  };
}
