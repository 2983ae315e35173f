/**
 * Clicks on elements with `data-track="NAME"`; their other `data-track-…` attributes are fields:
 * `<button data-track="ADD_TO_CART" data-track-product_id="42" data-track-quantity="1">`.
 */
const PREFIX = 'data-track-';

export function watchClicks(track: (name: string, fields: Record<string, string>) => void): void {
  addEventListener(
    'click',
    (event) => {
      const element = event.target instanceof Element ? event.target.closest('[data-track]') : null;
      const name = element?.getAttribute('data-track');
      if (element === null || !name) return;
      const fields: Record<string, string> = {};
      for (const { name: attribute, value } of element.attributes) {
        if (attribute.startsWith(PREFIX)) fields[attribute.slice(PREFIX.length)] = value;
      }
      track(name, fields);
    },
    // Before the page's own handlers, which may leave the page.
    { capture: true },
  );
}
