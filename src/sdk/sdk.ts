/**
 * The SDK: makes events of what happens on the page and hands them to the queue. Nothing here may
 * ever throw into the page.
 */
import type { Json, SentField } from '../event/event.ts';
import { watchClicks } from './clicks.ts';
import { newEventId, nextInSession, visitorId } from './ids.ts';
import { watchPageViews } from './page-views.ts';
import { createQueue } from './queue.ts';
import { warn } from './warn.ts';

export interface Options {
  /** Origin of the collector. */
  url: string;
  /** A write key; public, it can only write. */
  key: string;
}

type Fields = { [name in SentField]?: Json } & { [name: string]: Json };

export interface Clickstream {
  /** Sends an event. Fields with a column of their own land there, the rest in `properties`. */
  track(name: string, fields?: Fields): void;
  /** From now on events of this page carry this customer. */
  identify(customerId: string): void;
}

export function init({ url, key }: Options): Clickstream {
  const queue = createQueue(`${url}/v1/events?key=${encodeURIComponent(key)}`);
  let customerId: string | undefined;

  const track: Clickstream['track'] = (name, fields) => {
    try {
      queue.push({ ...whatIsKnown(), customer_id: customerId, ...fields, event_name: name });
    } catch (error) {
      warn(`${name} is not sent`, error);
    }
  };

  watchPageViews(track);
  watchClicks(track);
  addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'hidden') queue.leave();
  });
  addEventListener('pagehide', () => queue.leave());
  return {
    track,
    identify(id) {
      customerId = id;
    },
  };
}

/** What the browser tells of itself and the page; `undefined` is not sent. */
function whatIsKnown(): { [name in SentField]?: Json | undefined } & { webdriver?: true } {
  const nowMs = Date.now();
  return {
    event_id: newEventId(nowMs),
    event_time: nowMs,
    visitor_id: visitorId(),
    ...nextInSession(nowMs),
    url: location.href,
    title: document.title || undefined,
    referrer: document.referrer || undefined,
    language: navigator.language,
    screen: `${screen.width}x${screen.height}`,
    traffic_source: /Mobi/.test(navigator.userAgent) ? 'MOBILE' : 'WEB',
    ...(navigator.webdriver ? { webdriver: true } : {}),
  };
}
