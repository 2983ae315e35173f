/**
 * The window of event ids: where the first copy of each lies, for as long as a repeated one is
 * to be recognised. Its memory is bounded: the newest `idsMax` ids are held exactly; older ones
 * of the window only as a filter that answers "surely new" or "ask the store". An id is never
 * forgotten in silence. Times are the records' own, so a replay decides as the first run did.
 *
 * Memory: about 100 bytes an id held exactly (the key's text, a slot of the Map, 24 bytes of
 * ring), and 4 bytes an id in the filter.
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
  /** Ids of before this time are not all here: whoever may be one of them is asked for. */
  forgetBefore(timeMs: number): void;
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
  const filters: Filter[] = [];
  /** Ids of before this time may have been forgotten by the filters too. */
  let askBeforeMs = Number.NEGATIVE_INFINITY;

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
    filter.add(key, timeMs);
    const expired = filters.findIndex((f) => f.newestMs >= timeMs - windowMs);
    const tooMany = filters.length - limits.filtersMax;
    // Noted for those that have left the window too: a clock that ran ahead may be set back.
    for (const dropped of filters.splice(0, Math.max(expired, tooMany, 0)))
      forgetBefore(dropped.newestMs);
  }

  function forgetBefore(timeMs: number): void {
    askBeforeMs = Math.max(askBeforeMs, timeMs);
  }

  return {
    find(key, timeMs) {
      const slot = slots.get(key);
      if (slot !== undefined) {
        const copy = { offset: offsets[slot] ?? 0, timeMs: times[slot] ?? 0 };
        return copy.timeMs > timeMs - windowMs ? copy : undefined;
      }
      if (askBeforeMs > timeMs - windowMs) return 'ask';
      const seen = filters.some((f) => f.newestMs > timeMs - windowMs && f.has(key));
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
    forgetBefore,
    get size() {
      return slots.size;
    },
  };
}

interface Filter {
  readonly count: number;
  readonly newestMs: number;
  add(key: string, timeMs: number): void;
  has(key: string): boolean;
}

const BITS_PER_ID = 32;
const HASHES = 8;

/**
 * A Bloom filter with double hashing (Kirsch and Mitzenmacher, 2006): at 32 bits an id and 8
 * hashes about one id in 400,000 is asked for although it is new.
 */
function createFilter(idsMax: number): Filter {
  const bits = new Uint32Array(Math.ceil((idsMax * BITS_PER_ID) / 32));
  const size = bits.length * 32;
  let count = 0;
  let newestMs = Number.NEGATIVE_INFINITY;
  const each = (key: string, visit: (word: number, bit: number) => boolean): boolean => {
    const first = crc32(key);
    // The second hash must not follow from the first, as a CRC of a longer text would.
    const second = mix(key) | 1;
    for (let i = 0; i < HASHES; i++) {
      const position = ((first + Math.imul(i, second)) >>> 0) % size;
      if (!visit(position >>> 5, 1 << (position & 31))) return false;
    }
    return true;
  };
  return {
    get count() {
      return count;
    },
    get newestMs() {
      return newestMs;
    },
    add(key, timeMs) {
      count++;
      newestMs = Math.max(newestMs, timeMs);
      each(key, (word, bit) => {
        bits[word] = (bits[word] ?? 0) | bit;
        return true;
      });
    },
    has: (key) => each(key, (word, bit) => ((bits[word] ?? 0) & bit) !== 0),
  };
}

/** FNV-1a, 32 bits, over UTF-16 units (Fowler, Noll, Vo). */
function mix(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
