/** Always in view: range, filters, how old the numbers are, theme. */
import { type ReactNode, useState } from 'react';
import { type Filter, RANGES, type Range } from '../url-state.ts';

/** Fields of filters whose name needs better words. */
const FIELDS: Readonly<Record<string, string>> = {
  event_name: 'event',
  path: 'page',
  search_keywords: 'search',
};

type Theme = 'system' | 'light' | 'dark';
const NEXT: Record<Theme, Theme> = { system: 'light', light: 'dark', dark: 'system' };

export function TopBar({
  range,
  filters,
  onRange,
  onFilters,
  children,
}: {
  range: Range;
  filters: readonly Filter[];
  onRange: (range: Range) => void;
  onFilters: (filters: Filter[]) => void;
  children: ReactNode;
}) {
  return (
    <header className="top">
      <div className="top-row">
        <h1>
          <img src="/icon.svg" alt="" width={26} height={26} />
          Clickstream
        </h1>
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
        {children}
        <ThemeButton />
      </div>
      {filters.length > 0 && (
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
      )}
    </header>
  );
}

function ThemeButton() {
  const [theme, setTheme] = useState<Theme>(() => {
    const set = document.documentElement.dataset.theme;
    return set === 'light' || set === 'dark' ? set : 'system';
  });
  const change = (): void => {
    const next = NEXT[theme];
    setTheme(next);
    if (next === 'system') {
      delete document.documentElement.dataset.theme;
      localStorage.removeItem('theme');
    } else {
      document.documentElement.dataset.theme = next;
      localStorage.setItem('theme', next);
    }
  };
  return (
    <button
      type="button"
      className="theme"
      onClick={change}
      aria-label={`Theme: ${theme}`}
      title={`Theme: ${theme}`}
    >
      {{ system: '◐', light: '☀', dark: '☾' }[theme]}
    </button>
  );
}
