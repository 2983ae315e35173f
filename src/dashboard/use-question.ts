/**
 * Asks the API one question of the view that is looked at, and again while it is live. The old
 * answer stays until the new one is there.
 */
import { keepPreviousData, type UseQueryResult, useQuery } from '@tanstack/react-query';
import type { Answer, Question } from '../query/questions.ts';
import { filterQuery, type Range, useView, type View } from './url-state.ts';
import { useLive } from './use-live.ts';

export type Asked<Q extends Question> = UseQueryResult<Answer<Q>, Error>;

const DAY_MS = 86_400_000;

/** Length of a range, and how often it is asked again while live: a long one moves slowly. */
const RANGE_MS: Record<Range, [lengthMs: number, againMs: number]> = {
  '15m': [DAY_MS / 96, 2_000],
  '1h': [DAY_MS / 24, 3_000],
  '24h': [DAY_MS, 5_000],
  '7d': [7 * DAY_MS, 10_000],
  '30d': [30 * DAY_MS, 20_000],
  '90d': [90 * DAY_MS, 30_000],
  '12mo': [365 * DAY_MS, 30_000],
  all: [Number.POSITIVE_INFINITY, 30_000],
};
/** The time before a range moves in steps of this part of it, so that it is not asked each time. */
const STEPS_BEFORE = 60;

/** The zone that days and hours are counted in. */
export const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** The address of an answer, for fetching and for the download link. */
export function useAddress(question: Question): string {
  const view = useView();
  return addressOf(question, view, { range: view.range, zone: ZONE });
}

function addressOf(question: Question, { project, filters }: View, time: Record<string, string>) {
  const query = filterQuery(filters);
  for (const [name, value] of Object.entries(time)) query.set(name, value);
  return `/api/projects/${encodeURIComponent(project)}/${question}?${query}`;
}

export function useQuestion<Q extends Question>(question: Q, isVisible = true): Asked<Q> {
  const address = useAddress(question);
  const { range } = useView();
  // Held still means held still. Without a stream it goes on: a proxy may keep streams back.
  const isHeld = useLive((live) => live.status === 'paused');
  return useQuery({
    queryKey: [address],
    queryFn: ({ signal }) => ask<Answer<Q>>(address, signal),
    placeholderData: keepPreviousData,
    refetchInterval: isHeld ? false : RANGE_MS[range][1],
    refetchOnWindowFocus: !isHeld,
    enabled: isVisible,
  });
}

/** The answer for the same time before the range; undefined where there is none. */
export function useBefore<Q extends Question>(question: Q): Answer<Q> | undefined {
  const view = useView();
  const [lengthMs] = RANGE_MS[view.range];
  const stepMs = lengthMs / STEPS_BEFORE;
  const to = Math.floor(Date.now() / stepMs) * stepMs - lengthMs;
  const time = { from: String(to - lengthMs), to: String(to), zone: ZONE };
  const address = addressOf(question, view, time);
  const { data } = useQuery({
    queryKey: [address],
    queryFn: ({ signal }) => ask<Answer<Q>>(address, signal),
    staleTime: Number.POSITIVE_INFINITY,
    refetchOnWindowFocus: false,
    enabled: view.range !== 'all',
  });
  return data;
}

/** Whether the project has no event at all; asked only when that is likely. */
export function useIsEmpty(isLikely: boolean): boolean {
  const { project } = useView();
  const address = addressOf('totals', { project, range: 'all', filters: [] }, { range: 'all' });
  const { data } = useQuery({
    queryKey: [address],
    queryFn: ({ signal }) => ask<Answer<'totals'>>(address, signal),
    enabled: isLikely,
  });
  return isLikely && data?.rows[0]?.events === 0;
}

/** The JSON at an address of the API; an error has the server's own sentence, and its answer as the cause. */
export async function ask<T>(address: string, signal: AbortSignal): Promise<T> {
  const response = await fetch(address, { signal }).catch((error: unknown) => {
    throw error instanceof TypeError ? new Error('The server cannot be reached.') : error;
  });
  if (response.ok) return response.json();
  const cause = readRefusal(await response.text());
  const message = cause?.error?.message ?? `The server answered ${response.status}.`;
  throw new Error(message, { cause });
}

/** What stands between may answer with a page of its own. */
function readRefusal(text: string): { error?: { message?: string } } | undefined {
  try {
    return JSON.parse(text) as { error?: { message?: string } };
  } catch {
    return undefined;
  }
}
