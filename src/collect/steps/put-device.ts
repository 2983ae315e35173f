/**
 * Puts kind of device, operating system and browser, without versions, from the user agent.
 */
import bowser from 'bowser';
import { CACHE_ENTRIES_MAX, CACHE_KEY_CHARS_MAX } from '../limits.ts';
import { remember } from '../recent.ts';
import type { Step } from '../step.ts';

interface Device {
  device_type?: string;
  os?: string;
  browser?: string;
}

const KINDS = new Set(['desktop', 'mobile', 'tablet', 'tv']);
/** Names that the library knows. For others it answers with a piece of the user agent. */
const SYSTEMS = new Set(Object.values(bowser.OS_MAP));
const BROWSERS = new Set(Object.values(bowser.BROWSER_MAP));

export function putDevice(): Step {
  const deviceOf = remember(readUserAgent, {
    entriesMax: CACHE_ENTRIES_MAX,
    keyCharsMax: CACHE_KEY_CHARS_MAX,
  });
  return ({ fromPage, userAgent }) => {
    const { device_type, os, browser } = fromPage ? deviceOf(userAgent) : {};
    return (event) => {
      if (device_type !== undefined) event.device_type ??= device_type;
      if (os !== undefined) event.os ??= os;
      if (browser !== undefined) event.browser ??= browser;
      return undefined;
    };
  };
}

function readUserAgent(userAgent: string): Device {
  const device: Device = {};
  if (userAgent === '') return device;
  const { platform, os, browser } = bowser.parse(userAgent);
  if (platform.type !== undefined && KINDS.has(platform.type)) device.device_type = platform.type;
  if (os.name !== undefined && SYSTEMS.has(os.name)) device.os = os.name;
  if (browser.name !== undefined && BROWSERS.has(browser.name)) device.browser = browser.name;
  return device;
}
