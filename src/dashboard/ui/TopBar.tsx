/** Always in view: range, filters, how old the numbers are, theme. */
import { type ReactNode, useState } from 'react';
import { type Filter, RANGES, type Range } from '../url-state.ts';

type Theme = 'system' | 'light' | 'dark';
const NEXT: Record<Theme, Theme> = { system: 'light', light: 'dark', dark: 'system' };

export function TopBar({
  range,
  filters,
  onRange,
  onDrop,
  children,
}: {
  range: Range;
  filters: readonly Filter[];
  onRange: (range: Range) => void;
  onDrop: (filter: Filter) => void;
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
          {filters.map((filter) => (
            <li key={`${filter.field} ${filter.operator} ${filter.value}`}>
              {filter.field} {filter.operator === 'is' ? 'is' : 'is not'} <b>{filter.value}</b>
              <button
                type="button"
                aria-label={`Remove the filter ${filter.field} ${filter.value}`}
                onClick={() => onDrop(filter)}
              >
                ×
              </button>
            </li>
          ))}
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
