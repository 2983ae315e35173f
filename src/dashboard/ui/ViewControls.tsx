/** What is looked at, above the overview: its range, and the filters that can be turned or taken off. */
import { type Filter, RANGES, type Range } from '../url-state.ts';

/** Fields of filters whose name needs better words. */
const FIELDS: Readonly<Record<string, string>> = {
  event_name: 'event',
  path: 'page',
  search_keywords: 'search',
};

export function RangeButtons({
  range,
  onRange,
}: {
  range: Range;
  onRange: (range: Range) => void;
}) {
  return (
    <fieldset className="ranges">
      <legend className="hidden">Range</legend>
      {Object.entries(RANGES).map(([key, words]) => (
        <button
          key={key}
          type="button"
          aria-pressed={key === range}
          aria-label={words}
          title={words}
          onClick={() => onRange(key as Range)}
        >
          {key === 'all' ? 'All' : key}
        </button>
      ))}
    </fieldset>
  );
}

export function FilterChips({
  filters,
  onFilters,
}: {
  filters: readonly Filter[];
  onFilters: (filters: Filter[]) => void;
}) {
  if (filters.length === 0) return null;
  return (
    <ul className="chips" aria-label="Filters">
      {filters.map((filter) => {
        const { field, operator, value } = filter;
        const others = filters.filter((f) => f !== filter);
        const words = operator === 'is' ? 'is' : 'is not';
        const name = FIELDS[field] ?? field.replaceAll('_', ' ');
        return (
          <li key={`${field} ${operator} ${value}`}>
            {name}{' '}
            <button
              type="button"
              className="operator"
              title="Turn around"
              onClick={() =>
                onFilters(
                  filters.map((f) =>
                    f === filter ? { ...f, operator: operator === 'is' ? 'is_not' : 'is' } : f,
                  ),
                )
              }
            >
              {words}
            </button>{' '}
            <b>{value}</b>
            <button
              type="button"
              aria-label={`Remove the filter ${name} ${words} ${value}`}
              onClick={() => onFilters(others)}
            >
              ×
            </button>
          </li>
        );
      })}
      {filters.length > 1 && (
        <li className="all">
          <button type="button" onClick={() => onFilters([])}>
            Clear all
          </button>
        </li>
      )}
    </ul>
  );
}
