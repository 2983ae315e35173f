/** Always in view: the pages, what the page puts there, the theme. */
import { type ReactNode, useState } from 'react';
import { addressOfPage, goToPage, PAGES, type Path, usePath } from '../url-state.ts';

type Theme = 'system' | 'light' | 'dark';
const NEXT: Record<Theme, Theme> = { system: 'light', light: 'dark', dark: 'system' };

export function TopBar({ filters, children }: { filters?: ReactNode; children: ReactNode }) {
  return (
    <header className="top">
      <div className="top-row">
        <h1>
          <img src="/icon.svg" alt="" width={26} height={26} />
          Clickstream
        </h1>
        <PageLinks />
        {children}
        <ThemeButton />
      </div>
      {filters}
    </header>
  );
}

function PageLinks() {
  const here = usePath();
  return (
    <nav className="pages" aria-label="Pages">
      {(Object.keys(PAGES) as Path[]).map((path) => (
        <a
          key={path}
          href={addressOfPage(path)}
          aria-current={path === here ? 'page' : undefined}
          onClick={(event) => {
            // A new tab is the browser's own business.
            if (event.metaKey || event.ctrlKey || event.shiftKey) return;
            event.preventDefault();
            goToPage(path);
          }}
        >
          {PAGES[path]}
        </a>
      ))}
    </nav>
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
