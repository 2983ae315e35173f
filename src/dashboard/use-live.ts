/**
 * The live stream: one EventSource for the page, its messages in a store that components read a
 * part of. Messages hold absolute values, so a lost one heals itself. A hidden tab is not sent
 * anything; on return it starts with a snapshot.
 */
import { useSyncExternalStore } from 'react';
import type { LiveMinute, LiveUpdate } from '../query/questions.ts';
import { filterQuery, type View } from './url-state.ts';

type LiveStatus = 'connecting' | 'live' | 'reconnecting' | 'paused';

export interface LiveData {
  status: LiveStatus;
  minutes: readonly LiveMinute[];
  now: LiveUpdate['now'] | undefined;
  latest: LiveUpdate['latest'];
  behindMs: number;
  /** When the last message came, by this browser's clock. */
  heardAt: number;
}

const SPAN_MS = 60 * 60_000;
const MINUTE_MS = 60_000;
/** Nothing heard for this long, though a message comes twice a second: the numbers are old. */
export const STALE_MS = 5_000;
/** After this long the connection is taken for dead: a network that changed closes nothing. */
const DEAD_MS = 15_000;
/** A stream that was refused is not opened again by the browser. */
const REOPEN_MS = 3_000;
const LOOK_MS = 1_000;

const EMPTY: LiveData = {
  status: 'connecting',
  minutes: [],
  now: undefined,
  latest: [],
  behindMs: 0,
  heardAt: 0,
};

let data: LiveData = EMPTY;
let source: EventSource | undefined;
let address = '';
let openedAt = 0;
let isPaused = false;
const listeners = new Set<() => void>();

function set(change: Partial<LiveData>): void {
  data = { ...data, ...change };
  for (const listener of listeners) listener();
}

function take(event: MessageEvent<string>, isSnapshot: boolean): void {
  const update = JSON.parse(event.data) as LiveUpdate;
  const byTime = new Map((isSnapshot ? [] : data.minutes).map((minute) => [minute.time, minute]));
  for (const minute of update.minutes) byTime.set(minute.time, minute);
  const minutes = [...byTime.values()].sort((a, b) => a.time - b.time);
  set({
    status: 'live',
    minutes: recent(minutes),
    now: update.now,
    latest: update.latest,
    behindMs: update.behind_ms,
    heardAt: Date.now(),
  });
}

function recent(minutes: readonly LiveMinute[]): LiveMinute[] {
  const oldest = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS - SPAN_MS;
  return minutes.filter((minute) => minute.time > oldest);
}

function open(): void {
  source?.close();
  source = undefined;
  openedAt = Date.now();
  if (address === '' || isPaused || document.hidden) return;
  source = new EventSource(address);
  source.addEventListener('snapshot', (event) => take(event, true));
  source.addEventListener('delta', (event) => take(event, false));
  source.addEventListener('lag', (event) => {
    const { behind_ms } = JSON.parse((event as MessageEvent<string>).data) as { behind_ms: number };
    set({ status: 'live', behindMs: behind_ms, heardAt: Date.now() });
  });
  source.addEventListener('error', () => set({ status: 'reconnecting' }));
}

/** Old minutes leave the picture without any message; a refused or silent stream is opened anew. */
function look(): void {
  if (isPaused || document.hidden) return;
  const minutes = recent(data.minutes);
  if (minutes.length < data.minutes.length) set({ minutes });
  const silentMs = Date.now() - Math.max(data.heardAt, openedAt);
  if (silentMs < (source?.readyState === EventSource.CLOSED ? REOPEN_MS : DEAD_MS)) return;
  set({ status: 'reconnecting' });
  open();
}

document.addEventListener('visibilitychange', () => {
  // What was live when the tab was hidden is old now.
  if (data.status === 'live') set({ status: 'connecting' });
  open();
});
setInterval(look, LOOK_MS);

/** Points the stream at this view; the numbers of another one are dropped. */
export function followLive({ project, filters }: View): void {
  const query = filterQuery(filters).toString();
  const wanted = `/api/projects/${encodeURIComponent(project)}/live${query === '' ? '' : `?${query}`}`;
  if (wanted === address) return;
  address = wanted;
  set({ ...EMPTY, status: isPaused ? 'paused' : 'connecting' });
  open();
}

/** No page shows the stream any more. */
export function leaveLive(): void {
  address = '';
  open();
}

export function pauseLive(paused: boolean): void {
  isPaused = paused;
  set({ status: paused ? 'paused' : 'connecting' });
  open();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** A part of the live data; the component is drawn again only when that part changes. */
export function useLive<T>(pick: (live: LiveData) => T): T {
  return useSyncExternalStore(subscribe, () => pick(data));
}
