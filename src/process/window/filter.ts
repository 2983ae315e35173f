/**
 * A set of ids that answers "surely not" or "perhaps": a cuckoo filter (Fan and others, 2014).
 * Of each id 20 bits are kept, in one of two buckets of four. A full filter takes an id that is new
 * for one of its own with a probability of 8 in 2^20. A Bloom filter would be half the code; of the
 * same size it errs several times as often, and every error is a question to the store.
 */

export interface Filter {
  readonly bytes: number;
  /** Time of its newest id. */
  readonly newestMs: number;
  /** Takes an id by its hash; false when the filter is full. */
  add(hash: Int32Array, timeMs: number): boolean;
  has(hash: Int32Array): boolean;
  /** As if it were new. */
  clear(): void;
}

/** Four words with the low bits of one print each, and one with the high four bits of all. */
const BUCKET_WORDS = 5;
export const BUCKET_BYTES = BUCKET_WORDS * 2;
const BUCKET_PRINTS = 4;
/** Above this share of taken places ids have to be moved about for long to make room. */
const LOAD_MAX = 0.95;
const MOVES_MAX = 500;

export function createFilter(bytesMax: number): Filter {
  const buckets = Math.floor(bytesMax / BUCKET_BYTES);
  const words = new Uint16Array(buckets * BUCKET_WORDS);
  const idsMax = Math.ceil(buckets * BUCKET_PRINTS * LOAD_MAX);
  let ids = 0;
  let newestMs = Number.NEGATIVE_INFINITY;
  let moves = 0;
  /** What found no place in the end. */
  let homeless: { print: number; bucket: number } | undefined;

  const bucketOf = (hash: number): number => Math.floor(((hash >>> 0) / 2 ** 32) * buckets);

  /** The other bucket of a print; of that one it is this one. */
  function otherBucket(bucket: number, print: number): number {
    const other = bucketOf(Math.imul(print, 0x9e3779b1)) - bucket;
    return other < 0 ? other + buckets : other;
  }

  function placeOf(bucket: number, print: number): number {
    const at = bucket * BUCKET_WORDS;
    const high = words[at + BUCKET_PRINTS] ?? 0;
    for (let i = 0; i < BUCKET_PRINTS; i++)
      if (words[at + i] === (print & 0xffff) && ((high >>> (4 * i)) & 15) === print >>> 16)
        return i;
    return -1;
  }

  /** Puts a print into a place of a bucket; answers what was there, 0 for nothing. */
  function swap(bucket: number, i: number, print: number): number {
    const at = bucket * BUCKET_WORDS;
    const high = words[at + BUCKET_PRINTS] ?? 0;
    const was = (words[at + i] ?? 0) | (((high >>> (4 * i)) & 15) << 16);
    words[at + i] = print;
    words[at + BUCKET_PRINTS] = (high & ~(15 << (4 * i))) | ((print >>> 16) << (4 * i));
    return was;
  }

  function insert(first: number, bucketOfFirst: number): void {
    let print = first;
    let bucket = bucketOfFirst;
    if (placeOf(bucket, 0) < 0) bucket = otherBucket(bucket, print);
    for (let left = MOVES_MAX; left > 0; left--) {
      const free = placeOf(bucket, 0);
      // In turns instead of at random, so that the same ids make the same filter.
      print = swap(bucket, free < 0 ? moves++ % BUCKET_PRINTS : free, print);
      if (print === 0) return;
      bucket = otherBucket(bucket, print);
    }
    homeless = { print, bucket };
  }

  function holds(print: number, bucket: number): boolean {
    if (placeOf(bucket, print) >= 0) return true;
    const other = otherBucket(bucket, print);
    if (placeOf(other, print) >= 0) return true;
    return homeless?.print === print && (homeless.bucket === bucket || homeless.bucket === other);
  }

  return {
    bytes: words.byteLength,
    get newestMs() {
      return newestMs;
    },
    add(hash, timeMs) {
      const print = printOf(hash);
      const bucket = bucketOf(hash[1] ?? 0);
      // Once is enough, and a bucket has no room for many of the same.
      if (!holds(print, bucket)) {
        if (ids >= idsMax || homeless !== undefined) return false;
        ids++;
        insert(print, bucket);
      }
      newestMs = Math.max(newestMs, timeMs);
      return true;
    },
    has: (hash) => holds(printOf(hash), bucketOf(hash[1] ?? 0)),
    clear() {
      words.fill(0);
      ids = 0;
      newestMs = Number.NEGATIVE_INFINITY;
      homeless = undefined;
    },
  };
}

/** 20 bits of the hash that say nothing about the bucket; 0 stands for an empty place. */
function printOf(hash: Int32Array): number {
  return (hash[2] ?? 0) >>> 12 || 1;
}
