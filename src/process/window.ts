/**
 * The window of event ids: where the first copy of each lies, for as long as a repeated one is
 * to be recognised. Its memory is bounded: the newest `idsMax` ids are held exactly; older ones
 * of the window only as a filter that answers "surely new" or "ask the store". An id is never
 * forgotten in silence. Times are the records' own, so a replay decides as the first run did.
 *
 * Memory: about 200 bytes an id held exactly (the key's text, a slot of the Map, 24 bytes of
 * ring), and 4 bytes an id in a filter.
 */
import { crc32 } from 'node:zlib';

export interface FirstCopy {
  /** -1 when the first copy lies in another log than the window's own. */
  offset: number;
  timeMs: number;
}

export interface Window {
  /** The first copy within the window before `timeMs`; undefined: none; 'ask': the store knows. */
  find(key: string, timeMs: number): FirstCopy | undefined | 'ask';
  /** Keeps the place of a first copy. */
  add(key: string, copy: FirstCopy): void;
  /** Its first copy was not stored after all. */
  forget(key: string): void;
  /** Notes an older id that the store holds; false when no filter is free for it. */
  load(key: string, timeMs: number): boolean;
  /** Ids of before this time are not all here: whoever may be one of them is asked for. */
  loadedSince(timeMs: number): void;
  /** Ids held exactly. */
  readonly size: number;
}

export interface WindowLimits {
  windowMs: number;
  idsMax: number;
  /** Ids in one filter; a filter is dropped when its newest id has left the window. */
  filterIdsMax: number;
  /** With more filters than this the oldest is dropped and every unknown id is asked for. */
  filtersMax: number;
}

export function createWindow(limits: WindowLimits): Window {
  const { windowMs, idsMax } = limits;
  const slots = new Map<string, number>();
  const keys: (string | undefined)[] = [];
  const offsets = new Float64Array(idsMax);
  const times = new Float64Array(idsMax);
  let next = 0;
  /** Oldest first. */
  const filters: Filter[] = [];
  /** Ids of up to this time may have been forgotten by the filters too. */
  let forgottenMs = Number.NEGATIVE_INFINITY;
  /** Ids of before this time that the store holds are not all in here. */
  let loadedSinceMs = Number.NEGATIVE_INFINITY;
  /** The filter that takes what is loaded. */
  let loading: Filter | undefined;

  function evict(slot: number): void {
    const key = keys[slot];
    if (key === undefined) return;
    if (slots.get(key) === slot) slots.delete(key);
    let filter = filters.at(-1);
    if (filter === undefined || filter.count >= limits.filterIdsMax) {
      filter = createFilter(limits.filterIdsMax);
      filters.push(filter);
    }
    const timeMs = times[slot] ?? 0;
    filter.add(hashesOf(key), timeMs);
    const expired = filters.findIndex((f) => f.newestMs >= timeMs - windowMs);
    const tooMany = filters.length - limits.filtersMax;
    // Noted for those that have left the window too: a clock that ran ahead may be set back.
    for (const dropped of filters.splice(0, Math.max(expired, tooMany, 0)))
      forgottenMs = Math.max(forgottenMs, dropped.newestMs);
  }

  return {
    find(key, timeMs) {
      const slot = slots.get(key);
      if (slot !== undefined) {
        const copy = { offset: offsets[slot] ?? 0, timeMs: times[slot] ?? 0 };
        return copy.timeMs > timeMs - windowMs ? copy : undefined;
      }
      if (Math.max(forgottenMs, loadedSinceMs) > timeMs - windowMs) return 'ask';
      if (filters.length === 0) return undefined;
      const hashes = hashesOf(key);
      const seen = filters.some((f) => f.newestMs > timeMs - windowMs && f.has(hashes));
      return seen ? 'ask' : undefined;
    },
    add(key, copy) {
      evict(next);
      keys[next] = key;
      offsets[next] = copy.offset;
      times[next] = copy.timeMs;
      slots.set(key, next);
      next = (next + 1) % idsMax;
    },
    forget(key) {
      const slot = slots.get(key);
      if (slot === undefined) return;
      slots.delete(key);
      keys[slot] = undefined;
    },
    load(key, timeMs) {
      if (loading !== undefined && filters[0] !== loading) return false;
      if (loading === undefined || loading.count >= limits.filterIdsMax) {
        if (filters.length >= limits.filtersMax) return false;
        loading = createFilter(limits.filterIdsMax);
        filters.unshift(loading);
      }
      loading.add(hashesOf(key), timeMs);
      return true;
    },
    loadedSince(timeMs) {
      loadedSinceMs = timeMs;
    },
    get size() {
      return slots.size;
    },
  };
}

type Hashes = readonly [number, number];

function hashesOf(key: string): Hashes {
  // The second must not follow from the first, as a CRC of a longer text would.
  return [crc32(key), mix(key) | 1];
}

interface Filter {
  readonly count: number;
  readonly newestMs: number;
  add(hashes: Hashes, timeMs: number): void;
  has(hashes: Hashes): boolean;
}

const BITS_PER_ID = 32;
const HASHES = 8;

/**
 * A Bloom filter with double hashing (Kirsch and Mitzenmacher, 2006): at 32 bits an id and 8
 * hashes about one id in 400,000 is asked for although it is new.
 */
function createFilter(idsMax: number): Filter {
  const words = new Uint32Array(Math.ceil((idsMax * BITS_PER_ID) / 32));
  const size = words.length * 32;
  let count = 0;
  let newestMs = Number.NEGATIVE_INFINITY;
  const positionOf = ([first, second]: Hashes, i: number): number =>
    ((first + Math.imul(i, second)) >>> 0) % size;
  return {
    get count() {
      return count;
    },
    get newestMs() {
      return newestMs;
    },
    add(hashes, timeMs) {
      count++;
      newestMs = Math.max(newestMs, timeMs);
      for (let i = 0; i < HASHES; i++) {
        const position = positionOf(hashes, i);
        words[position >>> 5] = (words[position >>> 5] ?? 0) | (1 << (position & 31));
      }
    },
    has(hashes) {
      for (let i = 0; i < HASHES; i++) {
        const position = positionOf(hashes, i);
        if (((words[position >>> 5] ?? 0) & (1 << (position & 31))) === 0) return false;
      }
      return true;
    },
  };
}

/** FNV-1a, 32 bits, over UTF-16 units (Fowler, Noll, Vo). */
function mix(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
