/**
 * Asks the API one question of the view that is looked at, and again while it is live. The old
 * answer stays until the new one is there.
 */
import { keepPreviousData, type UseQueryResult, useQuery } from '@tanstack/react-query';
import type { Answer, Question } from '../query/questions.ts';
import { filterQuery, type Range, useView } from './url-state.ts';
import { useLive } from './use-live.ts';

export type Asked<Q extends Question> = UseQueryResult<Answer<Q>, Error>;

/** How often a range is asked again while the page is live: a long one moves slowly. */
const AGAIN_MS: Record<Range, number> = {
  '15m': 2_000,
  '1h': 3_000,
  '24h': 5_000,
  '7d': 10_000,
  '30d': 20_000,
  '90d': 30_000,
  all: 30_000,
};

const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** The address of an answer, for fetching and for the download link. */
export function useAddress(question: Question): string {
  const { project, range, filters } = useView();
  const query = filterQuery(filters);
  query.set('range', range);
  query.set('zone', ZONE);
  return `/api/projects/${encodeURIComponent(project)}/${question}?${query}`;
}

export function useQuestion<Q extends Question>(question: Q, isVisible = true): Asked<Q> {
  const address = useAddress(question);
  const { range } = useView();
  const isLive = useLive((live) => live.status === 'live');
  return useQuery({
    queryKey: [address],
    queryFn: ({ signal }) => ask<Q>(address, signal),
    placeholderData: keepPreviousData,
    refetchInterval: isLive ? AGAIN_MS[range] : false,
    enabled: isVisible,
  });
}

async function ask<Q extends Question>(address: string, signal: AbortSignal): Promise<Answer<Q>> {
  const response = await fetch(address, { signal });
  if (response.ok) return response.json();
  const { error } = (await response.json()) as { error?: { message?: string } };
  throw new Error(error?.message ?? `The server answered ${response.status}.`);
}
