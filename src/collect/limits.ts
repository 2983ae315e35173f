/**
 * Every number that protects the collector, with its unit. What a single event may hold is in
 * event/parse.ts (`EVENT_LIMITS`) and in the table of fields.
 */
import type { HttpLimits } from '../base/http.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

export const HTTP_LIMITS: HttpLimits = {
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  connectionsMax: 2_048,
  addressConnectionsMax: 1_024,
  headerBytesMax: 16 * KIB,
};

export interface BodyLimits {
  /** As received, packed or not. */
  bodyBytesMax: number;
  /** After unpacking. */
  unpackedBytesMax: number;
  /** Of the whole body; deeper ones are refused before they are parsed. */
  depthMax: number;
  /** Shorter bodies are parsed without a look at their depth: it cannot cost much. */
  depthFreeBytes: number;
  eventsMax: number;
  /** What is read of a refused body, and for how long, so that the answer can arrive. */
  discardBytesMax: number;
  discardMs: number;
}

export const BODY_LIMITS: BodyLimits = {
  bodyBytesMax: 2 * MIB,
  unpackedBytesMax: 4 * MIB,
  depthMax: 10_000,
  depthFreeBytes: 64 * KIB,
  eventsMax: 1_000,
  discardBytesMax: 8 * MIB,
  discardMs: 1_000,
};

/** Of one message of a source: as of a body, but nobody could send it again in parts. */
export const SOURCE_LIMITS: BodyLimits = { ...BODY_LIMITS, eventsMax: 10_000 };

export interface LoadLimits {
  /** Bytes of all bodies that are being read or processed. */
  bytesMax: number;
  /** The share of it that one address may hold. */
  addressBytesMax: number;
  /** Requests of one address at the same time. */
  addressRequestsMax: number;
}

export const LOAD_LIMITS: LoadLimits = {
  bytesMax: 64 * MIB,
  addressBytesMax: 24 * MIB,
  addressRequestsMax: 256,
};

/** What a sender is told to wait after 429 and 503. */
export const RETRY_AFTER_S = 1;

/** Entries of each cache: user agents, addresses of pages. */
export const CACHE_ENTRIES_MAX = 4_096;
/** Longest text that is kept as the key of a cache. */
export const CACHE_KEY_CHARS_MAX = 512;

/** Clocks: how far ahead of the collector an event may be after correction, and how old. */
export const EVENT_TIME_AHEAD_MS_MAX = 24 * 3_600_000;
export const EVENT_TIME_MS_MIN = Date.UTC(2000, 0, 1);
/** A batch that arrives this much after it was sent may have been on the way, not misdated. */
export const TRANSIT_MS_MAX = 30_000;
