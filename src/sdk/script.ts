/**
 * The script tag: `<script defer src="https://collector/sdk.js" data-key="…"></script>`.
 * Puts `clickstream.track` and `clickstream.identify` on the page.
 */
import { type Clickstream, init } from './sdk.ts';
import { warn } from './warn.ts';

declare global {
  interface Window {
    clickstream?: Clickstream;
  }
}

const script = document.currentScript;
if (script instanceof HTMLScriptElement && window.clickstream === undefined) {
  const { key } = script.dataset;
  if (key) window.clickstream = init({ url: new URL(script.src).origin, key });
  else warn('the script tag needs data-key="…", a write key');
}
