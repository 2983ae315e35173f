/**
 * Page views: the first load, every address that a single-page application goes to, and a page
 * that comes back by the back button. The event is named by `data-page` of the body or of the html
 * element, for shops that tell a product page from the home page; else it is `page_view`.
 */

declare global {
  interface Document {
    /** Only in browsers that draw pages ahead. */
    readonly prerendering?: boolean;
  }
}

export function watchPageViews(track: (name: string) => void): void {
  let seen = '';
  const look = (): void => {
    // A page that the browser draws ahead is seen by nobody yet, and perhaps never.
    if (document.prerendering) return;
    const address = location.pathname + location.search;
    if (address === seen) return;
    seen = address;
    track(document.body.dataset.page ?? document.documentElement.dataset.page ?? 'page_view');
  };
  // The application sets title and content after it changes the address.
  watchAddress(() => setTimeout(look));
  addEventListener('pageshow', ({ persisted }) => {
    if (!persisted) return;
    seen = '';
    look();
  });
  document.addEventListener('prerenderingchange', look);
  if (document.readyState === 'loading') addEventListener('DOMContentLoaded', look);
  else look();
}

function watchAddress(onChange: () => void): void {
  if (typeof navigation !== 'undefined') {
    navigation.addEventListener('currententrychange', onChange);
    return;
  }
  // Browsers without the Navigation API tell only of going back and forth.
  addEventListener('popstate', onChange);
  for (const method of ['pushState', 'replaceState'] as const) {
    const original = history[method].bind(history);
    history[method] = (...args) => {
      original(...args);
      onChange();
    };
  }
}
