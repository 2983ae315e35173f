/**
 * What is looked at: project, range, filters. The address bar is the only place it is kept, so a
 * link shows the same to everyone and Back undoes.
 */
import { useSyncExternalStore } from 'react';

export const RANGES = {
  '15m': '15 minutes',
  '1h': '1 hour',
  '24h': '24 hours',
  '7d': '7 days',
  '30d': '30 days',
  '90d': '90 days',
  '12mo': '12 months',
  all: 'All',
} as const;
export type Range = keyof typeof RANGES;

type Operator = 'is' | 'is_not';
export interface Filter {
  field: string;
  operator: Operator;
  value: string;
}

export interface View {
  project: string;
  range: Range;
  filters: Filter[];
}

const DEFAULT_RANGE: Range = '7d';

function read(search: string): View {
  const query = new URLSearchParams(search);
  const range = query.get('range') ?? DEFAULT_RANGE;
  return {
    project: query.get('project') ?? 'shop',
    range: range in RANGES ? (range as Range) : DEFAULT_RANGE,
    filters: query.getAll('f').flatMap((text) => {
      const [field = '', operator = '', ...value] = text.split(':');
      if (operator !== 'is' && operator !== 'is_not') return [];
      return [{ field, operator, value: value.join(':') }];
    }),
  };
}

/** The part of an API request's query that filters; the same in the page's address. */
export function filterQuery(filters: readonly Filter[]): URLSearchParams {
  const query = new URLSearchParams();
  for (const { field, operator, value } of filters)
    query.append('f', `${field}:${operator}:${value}`);
  return query;
}

const listeners = new Set<() => void>();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  window.addEventListener('popstate', listener);
  return () => {
    listeners.delete(listener);
    window.removeEventListener('popstate', listener);
  };
}

let cached: { search: string; view: View } | undefined;

/** One object a search, so that React sees no change where there is none. */
function snapshot(): View {
  const { search } = window.location;
  if (cached?.search !== search) cached = { search, view: read(search) };
  return cached.view;
}

export const PAGES = { '/': 'Overview', '/pipeline': 'Pipeline' } as const;
export type Path = keyof typeof PAGES;

function pathNow(): Path {
  return window.location.pathname === '/pipeline' ? '/pipeline' : '/';
}

/** Which page is looked at. */
export function usePath(): Path {
  return useSyncExternalStore(subscribe, pathNow);
}

/** The address of another page that looks at the same. */
export const addressOfPage = (path: Path): string => path + window.location.search;

function goTo(address: string): void {
  history.pushState(null, '', address);
  for (const listener of listeners) listener();
}

export function goToPage(path: Path): void {
  goTo(addressOfPage(path));
}

/** The project that the address names; undefined where it names none. */
export function useNamedProject(): string | undefined {
  return useSyncExternalStore(
    subscribe,
    () => new URLSearchParams(window.location.search).get('project') ?? undefined,
  );
}

export function nameProject(project: string | undefined): void {
  const query = new URLSearchParams(window.location.search);
  query.delete('project');
  if (project !== undefined) query.set('project', project);
  const search = query.toString();
  goTo(search === '' ? window.location.pathname : `?${search}`);
}

export function useView(): View {
  return useSyncExternalStore(subscribe, snapshot);
}

/** Goes to a changed view, as a step that Back undoes. */
export function changeView(change: Partial<View>): void {
  const view = { ...snapshot(), ...change };
  const query = filterQuery(view.filters);
  if (view.range !== DEFAULT_RANGE) query.set('range', view.range);
  if (view.project !== 'shop') query.set('project', view.project);
  const search = query.toString();
  goTo(search === '' ? window.location.pathname : `?${search}`);
}

export function addFilter(filter: Filter): void {
  const { filters } = snapshot();
  const isThere = filters.some((f) => JSON.stringify(f) === JSON.stringify(filter));
  if (!isThere) changeView({ filters: [...filters, filter] });
}
