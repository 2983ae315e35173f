/**
 * The SDK: makes events of what happens on the page and hands them to the queue. Nothing here may
 * ever throw into the page.
 */
import type { Json, SentField } from '../event/event.ts';
import { watchClicks } from './clicks.ts';
import { newId, nextInSession, visitorId } from './ids.ts';
import { watchPageViews } from './page-views.ts';
import { createQueue, type QueuedEvent } from './queue.ts';

export interface Options {
  /** Origin of the collector. */
  url: string;
  /** A write key; public, it can only write. */
  key: string;
}

export interface Clickstream {
  /** Sends an event. Fields with a column of their own land there, the rest in `properties`. */
  track(name: string, fields?: { [name in SentField]?: Json } & { [name: string]: Json }): void;
  /** From now on events carry this customer. */
  identify(customerId: string): void;
}

export function init({ url, key }: Options): Clickstream {
  const queue = createQueue(`${url}/v1/events?key=${encodeURIComponent(key)}`);
  let customerId: string | undefined;

  const track: Clickstream['track'] = (name, fields = {}) => {
    const nowMs = Date.now();
    queue.push({
      event_name: name,
      event_id: newId(nowMs),
      event_time: nowMs,
      visitor_id: visitorId(nowMs),
      ...nextInSession(nowMs),
      ...(customerId === undefined ? {} : { customer_id: customerId }),
      url: location.href,
      title: document.title,
      ...(document.referrer === '' ? {} : { referrer: document.referrer }),
      language: navigator.language,
      screen: `${screen.width}x${screen.height}`,
      ...(navigator.webdriver ? { webdriver: true } : {}),
      ...fields,
    } as QueuedEvent);
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
