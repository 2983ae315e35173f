/**
 * The ids of events that were stored and then erased, for as long as a repeated one is to be
 * recognised: only hashes, because who asked for it asked to be forgotten.
 */
import { createHash } from 'node:crypto';
import type { Records } from '../records.ts';

export interface ErasedIds {
  /** Reads them from the store: at a start, and before rows are erased while events come in. */
  load(): Promise<void>;
  /** Those that were received after a time: read now, if they go back further than is known. */
  since(sinceMs: number): Promise<ErasedTimes>;
}

/** When the events of this key were received that are erased; empty for nearly every key. */
export type ErasedTimes = (key: string) => readonly number[];

interface ErasedIdsOptions {
  records: Pick<Records, 'erasedIds'>;
  /** What was received before this time is hardly in anybody's window any more. */
  sinceMs: () => Promise<number>;
}

/** Nothing is hashed while nothing was erased. */
const NONE: readonly number[] = [];
/** So much further back is read at once: what comes late seldom comes alone. */
const FURTHER_MS = 3_600_000;

export function createErasedIds({ records, sinceMs }: ErasedIdsOptions): ErasedIds {
  let known = {
    reading: 0,
    sinceMs: Number.POSITIVE_INFINITY,
    times: new Map<string, { received_ms: number }[]>(),
  };
  let readings = 0;

  async function read(fromMs: number): Promise<void> {
    const reading = ++readings;
    const times = Map.groupBy(await records.erasedIds(fromMs), (row) => row.id_hash);
    // One that was asked later may have been answered before.
    if (reading > known.reading) known = { reading, sinceMs: fromMs, times };
  }

  return {
    load: async () => read(await sinceMs()),
    async since(fromMs) {
      while (fromMs < known.sinceMs) await read(fromMs - FURTHER_MS);
      const { times } = known;
      return (key) => {
        if (times.size === 0) return NONE;
        // As the store computes it where a removal is recorded.
        const hash = createHash('sha256').update(key).digest('hex');
        return times.get(hash)?.map((row) => row.received_ms) ?? NONE;
      };
    },
  };
}
