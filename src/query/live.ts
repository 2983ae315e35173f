/**
 * The numbers as they move. Everyone who watches the same project with the same filters shares one
 * source: one query a tick, however many watch. A message holds absolute values of what changed,
 * so a lost one heals itself with the next.
 */
import type { Clock } from '../base/clock.ts';
import { AppError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { Store } from '../store/store.ts';
import { type Asked, bindScope } from './params.ts';
import type { LiveMinute, LiveUpdate } from './questions.ts';
import { type FreshnessSource, fillMarks, freshnessOf, readSqlFiles } from './run.ts';

/** One message to a watcher. */
export type LiveMessage =
  | { event: 'snapshot' | 'delta'; data: LiveUpdate }
  | { event: 'lag'; data: { behind_ms: number } };

export interface Live {
  /** Calls `tell` with a snapshot, then with what changes, until the signal fires. */
  watch(asked: Asked, tell: (message: LiveMessage) => void, signal: AbortSignal): Promise<void>;
  /** Sources that are asked now, for the metrics. */
  sources(): number;
}

export interface LiveOptions {
  store: Store;
  clock: Clock;
  logger: Logger;
  freshness: FreshnessSource | undefined;
}

const SPAN_MINUTES = 60;
const MINUTE_MS = 60_000;
/** A tick asks for these last minutes only … */
const RECENT_MINUTES = 2;
/** … and now and then for all of them, because a late event may change an old one. */
const WHOLE_EVERY_MS = 5_000;
/** Who is there now moves more slowly, and costs more to count. */
const NOW_EVERY_MS = 1_000;
/** Shortest time between two ticks of a source; all sources together ask half of the time. */
const TICK_MS = 50;
const TICK_PER_QUERY = 2;
/** How often a tick looks whether something new is stored, which costs nothing. */
const LOOK_MS = 10;
const LAG_EVERY_MS = 500;
const SOURCES_MAX = 64;

interface Source {
  watchers: Set<(message: LiveMessage) => void>;
  /** What is known, as the last query said. */
  minutes: Map<number, LiveMinute>;
  last: LiveUpdate | undefined;
  ended: AbortController;
}

const NOBODY: LiveUpdate['now'] = {
  visitors: 0,
  events_per_second: 0,
  carts: 0,
  bookings: 0,
  paid: 0,
};

interface LiveRow {
  minutes: [number, number, number, number, number, string][];
  latest: [number, string, string, string, string][];
}

export function createLive(options: LiveOptions): Live {
  const { store, clock, logger, freshness } = options;
  const files = readSqlFiles();
  const sources = new Map<string, Source>();

  async function askOne<Row>(
    name: 'live' | 'live_now',
    asked: Asked,
    times: Readonly<Record<string, number>>,
  ): Promise<Row | undefined> {
    const { scope, params } = bindScope(asked);
    const statement = fillMarks(files.get(name) ?? '', scope, '');
    return (await store.select<Row>(statement, { ...params, ...times }))[0];
  }

  /** Asks for the minutes from `fromMs` on and keeps them; the update holds those that changed. */
  async function ask(
    source: Source,
    asked: Asked,
    { from, to, countsNow }: { from: number; to: number; countsNow: boolean },
  ): Promise<LiveUpdate> {
    const row = (await askOne<LiveRow>('live', asked, { from, to })) ?? { minutes: [], latest: [] };
    const counted = countsNow
      ? await askOne<LiveUpdate['now']>('live_now', asked, { to })
      : undefined;
    const changed: LiveMinute[] = [];
    for (const [time, events, page_views, visits, orders, revenue] of row.minutes) {
      const minute = { time, events, page_views, visits, orders, revenue };
      const known = source.minutes.get(time);
      if (known !== undefined && JSON.stringify(known) === JSON.stringify(minute)) continue;
      source.minutes.set(time, minute);
      changed.push(minute);
    }
    const oldestMs = minuteOf(to) - (SPAN_MINUTES - 1) * MINUTE_MS;
    for (const time of source.minutes.keys()) if (time < oldestMs) source.minutes.delete(time);
    return {
      minutes: changed,
      now: counted ?? source.last?.now ?? NOBODY,
      latest: row.latest.map(([event_time, event_name, path, country, traffic_source]) => ({
        event_time,
        event_name,
        path,
        country,
        traffic_source,
      })),
      behind_ms: await behindMs(),
    };
  }

  async function behindMs(): Promise<number> {
    const storedUntilMs = (await freshness?.storedUntilMs()) ?? clock.now();
    return freshnessOf(storedUntilMs, clock.now()).behind_ms;
  }

  function snapshotOf(source: Source): LiveMessage | undefined {
    if (source.last === undefined) return undefined;
    const minutes = [...source.minutes.values()].sort((a, b) => a.time - b.time);
    return { event: 'snapshot', data: { ...source.last, minutes } };
  }

  /** The loop of a source, from its first watcher to its last. */
  async function run(source: Source, asked: Asked): Promise<void> {
    const { signal } = source.ended;
    let batches = -1;
    let askedAtMs = Number.NEGATIVE_INFINITY;
    let wholeAtMs = Number.NEGATIVE_INFINITY;
    let nowAtMs = Number.NEGATIVE_INFINITY;
    let nowBatches = -1;
    let toldAtMs = Number.NEGATIVE_INFINITY;
    let tickMs = TICK_MS;
    const tell = (message: LiveMessage): void => {
      toldAtMs = clock.elapsed();
      for (const watcher of source.watchers) watcher(message);
    };
    while (!signal.aborted) {
      const atMs = clock.elapsed();
      const isWhole = atMs - wholeAtMs >= WHOLE_EVERY_MS;
      const stored = freshness?.batches?.() ?? batches + 1;
      const countsNow = isWhole || (stored !== nowBatches && atMs - nowAtMs >= NOW_EVERY_MS);
      if (countsNow || (stored !== batches && atMs - askedAtMs >= tickMs)) {
        batches = stored;
        askedAtMs = atMs;
        if (countsNow) {
          nowBatches = stored;
          nowAtMs = atMs;
        }
        const nowMs = clock.now();
        const span = isWhole ? SPAN_MINUTES : RECENT_MINUTES;
        const fromMs = minuteOf(nowMs) - (span - 1) * MINUTE_MS;
        try {
          const update = await ask(source, asked, { from: fromMs, to: nowMs, countsNow });
          const isFirst = source.last === undefined;
          const isSame = JSON.stringify(update.now) === JSON.stringify(source.last?.now);
          source.last = update;
          if (isWhole) wholeAtMs = atMs;
          const snapshot = isFirst ? snapshotOf(source) : undefined;
          if (snapshot !== undefined) tell(snapshot);
          else if (update.minutes.length > 0 || !isSame) tell({ event: 'delta', data: update });
        } catch (error) {
          if (!(error instanceof AppError)) throw error;
          // Watchers see the lag grow; the next tick asks again.
          logger.warn({ code: error.code, message: error.message }, 'a live query failed');
          batches = -1;
          nowBatches = -1;
        }
        tickMs = Math.max(TICK_MS, (clock.elapsed() - atMs) * TICK_PER_QUERY * sources.size);
      }
      if (clock.elapsed() - toldAtMs >= LAG_EVERY_MS) {
        tell({ event: 'lag', data: { behind_ms: await behindMs() } });
      }
      await clock.sleep(freshness?.batches === undefined ? tickMs : LOOK_MS, signal);
    }
  }

  return {
    sources: () => sources.size,
    async watch(asked, tell, signal) {
      const key = JSON.stringify([asked.project, asked.bots, asked.filters]);
      let source = sources.get(key);
      if (source === undefined) {
        if (sources.size >= SOURCES_MAX) {
          throw new AppError('too_many_requests', 'Too many different live views are open.', {
            retryAfterS: 5,
          });
        }
        source = {
          watchers: new Set(),
          minutes: new Map(),
          last: undefined,
          ended: new AbortController(),
        };
        sources.set(key, source);
        run(source, asked).catch((error: unknown) =>
          logger.error({ err: error }, 'a live source ended'),
        );
      }
      const { watchers, ended } = source;
      const snapshot = snapshotOf(source);
      if (snapshot !== undefined) tell(snapshot);
      watchers.add(tell);
      signal.addEventListener('abort', () => {
        watchers.delete(tell);
        if (watchers.size > 0) return;
        ended.abort();
        if (sources.get(key)?.ended === ended) sources.delete(key);
      });
    },
  };
}

function minuteOf(ms: number): number {
  return Math.floor(ms / MINUTE_MS) * MINUTE_MS;
}
