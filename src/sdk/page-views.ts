/**
 * Page views: the first load, and every address that a single-page application goes to. The event
 * is named by `data-page` of the body or of the html element, for shops that tell a product page
 * from the home page; else it is `page_view`.
 */

export function watchPageViews(track: (name: string) => void): void {
  let seen = '';
  const look = (): void => {
    const address = location.pathname + location.search;
    if (address === seen) return;
    seen = address;
    track(pageName());
  };
  for (const method of ['pushState', 'replaceState'] as const) {
    const original = history[method].bind(history);
    history[method] = (...args) => {
      original(...args);
      // The application sets title and content after it changes the address.
      setTimeout(look);
    };
  }
  addEventListener('popstate', () => setTimeout(look));
  look();
}

function pageName(): string {
  const { body, documentElement } = document;
  return body.dataset.page ?? documentElement.dataset.page ?? 'page_view';
}
