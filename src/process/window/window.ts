/**
 * The window of event ids: where the first copy of each lies, for as long as a repeated one is
 * to be recognised. Its memory is bounded: the newest `idsMax` ids are held exactly; older ones
 * of the window only as a filter that answers "surely new" or "ask the store". An id is never
 * forgotten in silence. Times are the records' own, so a replay decides as the first run did.
 *
 * Exact means: by a keyed hash of 128 bits instead of the text. Among a million ids held exactly a
 * new id meets the hash of another one with a probability of 10^6 / 2^128 < 3 · 10^-33; at a
 * million events a second that happens once in 10^19 years.
 *
 * Memory: 40 bytes an id held exactly, and 20 bits over 0.95 an id in a full filter. Nothing but
 * typed arrays, which the system gives room for as they are written to; a new filter is as
 * large as all others together, up to an eighth of what all may take.
 */
import { BUCKET_BYTES, createFilter, type Filter } from './filter.ts';
import { createKeyHash, type KeyHash } from './key-hash.ts';

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
  /** The store may get a copy of it from others: whoever may be it is asked for. */
  suspect(key: string, timeMs: number): void;
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
  /** Ids held exactly. */
  idsMax: number;
  /**
   * Of ids and filters together; ids come first. When filters need more, the oldest is dropped, and
   * whoever may be in it is asked for.
   */
  bytesMax: number;
}

/** Four words of hash, offset, time, and two places of the table: it is never more than half full. */
const BYTES_PER_ID = 40;
const HASH_WORDS = 4;
/** More of them waste less on the ids of the oldest that have left; each takes time and may err. */
const FILTERS = 8;
const FIRST_FILTER_SHARE = 1 / 4;
/** Of all bytes; what is held exactly answers most repeated ids, which come within minutes. */
const EXACT_SHARE = 1 / 64;

export function windowLimits(windowMs: number, bytesMax: number): WindowLimits {
  return { windowMs, bytesMax, idsMax: Math.ceil((bytesMax * EXACT_SHARE) / BYTES_PER_ID) };
}

export function createWindow(
  { windowMs, idsMax, bytesMax }: WindowLimits,
  hashOf: KeyHash = createKeyHash(),
): Window {
  /** A ring; a place without an id has the hash 0. */
  const hashes = new Int32Array(idsMax * HASH_WORDS);
  const offsets = new Float64Array(idsMax);
  const times = new Float64Array(idsMax);
  let next = 0;
  /** Place in the ring plus 1, or 0; from the place that the hash names on, without a gap. */
  const table = new Int32Array(idsMax * 2);
  let size = 0;

  const filtersBytesMax = Math.max(0, bytesMax - idsMax * BYTES_PER_ID);
  const filterBytesMax = Math.floor(filtersBytesMax / FILTERS / BUCKET_BYTES) * BUCKET_BYTES;
  /** Oldest first. */
  const filters: Filter[] = [];
  /** Ids of up to this time may have been forgotten by the filters too. */
  let forgottenMs = Number.NEGATIVE_INFINITY;
  /** Ids of before this time that the store holds are not all in here. */
  let loadedSinceMs = Number.NEGATIVE_INFINITY;
  /** The filter that takes what is loaded. */
  let loading: Filter | undefined;

  const homeOf = (hash0: number): number => Math.floor(((hash0 >>> 0) / 2 ** 32) * table.length);
  const after = (position: number): number => (position + 1 === table.length ? 0 : position + 1);

  /** Where in the table the id is, or would be. */
  function positionOf(hash: Int32Array): number {
    let position = homeOf(hash[0] ?? 0);
    for (let entry = table[position] ?? 0; entry !== 0; entry = table[position] ?? 0) {
      const at = (entry - 1) * HASH_WORDS;
      if (
        hashes[at] === hash[0] &&
        hashes[at + 1] === hash[1] &&
        hashes[at + 2] === hash[2] &&
        hashes[at + 3] === hash[3]
      )
        return position;
      position = after(position);
    }
    return position;
  }

  /** Takes an entry out of the table, and closes the gap with those that stand behind their home. */
  function clear(position: number): void {
    let gap = position;
    for (let at = after(gap); table[at] !== 0; at = after(at)) {
      const entry = table[at] ?? 0;
      const home = homeOf(hashes[(entry - 1) * HASH_WORDS] ?? 0);
      const isBetween = gap < at ? gap < home && home <= at : gap < home || home <= at;
      if (isBetween) continue;
      table[gap] = entry;
      gap = at;
    }
    table[gap] = 0;
    size--;
  }

  const bytesTaken = (): number => filters.reduce((bytes, filter) => bytes + filter.bytes, 0);

  /** As large as all there are, so that memory follows need. */
  const bytesOfNext = (): number =>
    Math.min(filterBytesMax, Math.max(bytesTaken(), filterBytesMax * FIRST_FILTER_SHARE));

  function dropOldest(): Filter | undefined {
    const dropped = filters.shift();
    // Noted also when it has left the window: a clock that ran ahead may be set back.
    if (dropped !== undefined) forgottenMs = Math.max(forgottenMs, dropped.newestMs);
    return dropped;
  }

  /** A new filter after all others; undefined when there is no room for any. */
  function openFilter(timeMs: number): Filter | undefined {
    let dropped: Filter | undefined;
    while ((filters[0]?.newestMs ?? Infinity) <= timeMs - windowMs) dropped = dropOldest();
    const bytes = bytesOfNext();
    if (bytes < BUCKET_BYTES) return undefined;
    while (bytesTaken() + bytes > filtersBytesMax) dropped = dropOldest();
    // Used again, because nobody knows when the garbage collector would give its memory back.
    dropped?.clear();
    const filter = dropped?.bytes === bytes ? dropped : createFilter(bytes);
    filters.push(filter);
    return filter;
  }

  /** Puts an id into the newest filter. */
  function keepInFilter(hash: Int32Array, timeMs: number): void {
    const isKept = filters.at(-1)?.add(hash, timeMs) || openFilter(timeMs)?.add(hash, timeMs);
    if (!isKept) forgottenMs = Math.max(forgottenMs, timeMs);
  }

  /** Moves an id out of the ring into the newest filter. */
  function evict(slot: number): void {
    const hash = hashes.subarray(slot * HASH_WORDS, (slot + 1) * HASH_WORDS);
    if (hash.every((word) => word === 0)) return;
    clear(positionOf(hash));
    keepInFilter(hash, times[slot] ?? 0);
    hash.fill(0);
  }

  return {
    find(key, timeMs) {
      const hash = hashOf(key);
      const entry = table[positionOf(hash)] ?? 0;
      if (entry !== 0) {
        const copy = { offset: offsets[entry - 1] ?? 0, timeMs: times[entry - 1] ?? 0 };
        if (copy.timeMs > timeMs - windowMs) return copy;
      }
      if (Math.max(forgottenMs, loadedSinceMs) > timeMs - windowMs) return 'ask';
      for (const filter of filters)
        if (filter.newestMs > timeMs - windowMs && filter.has(hash)) return 'ask';
      return undefined;
    },
    add(key, copy) {
      const hash = hashOf(key);
      // One that left the window; it goes on in a filter, because a clock may be set back.
      const older = table[positionOf(hash)] ?? 0;
      if (older !== 0) evict(older - 1);
      evict(next);
      table[positionOf(hash)] = next + 1;
      size++;
      hashes.set(hash, next * HASH_WORDS);
      offsets[next] = copy.offset;
      times[next] = copy.timeMs;
      next = (next + 1) % idsMax;
    },
    suspect: (key, timeMs) => keepInFilter(hashOf(key), timeMs),
    forget(key) {
      const position = positionOf(hashOf(key));
      const entry = table[position] ?? 0;
      if (entry === 0) return;
      clear(position);
      hashes.fill(0, (entry - 1) * HASH_WORDS, entry * HASH_WORDS);
    },
    load(key, timeMs) {
      if (loading !== undefined && filters[0] !== loading) return false;
      const hash = hashOf(key);
      if (loading?.add(hash, timeMs)) return true;
      const bytes = bytesOfNext();
      if (bytes < BUCKET_BYTES || bytesTaken() + bytes > filtersBytesMax) return false;
      loading = createFilter(bytes);
      filters.unshift(loading);
      return loading.add(hash, timeMs);
    },
    loadedSince(timeMs) {
      loadedSinceMs = timeMs;
    },
    get size() {
      return size;
    },
  };
}
