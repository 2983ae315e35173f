/**
 * The SDK as pages have it: built, in a real browser, sending to a real collector. What is asserted
 * is what lies on the log, and what the page noticed.
 */
import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { Browser, Page } from 'playwright-core';
import { launchBrowser } from '../../test/browser.ts';
import { KEY, type PageServer, startPageServer } from '../../test/page-server.ts';
import { type Route, send } from '../base/http.ts';

const GZIP_BYTES_MAX = 4_096;
/** What a request may carry that outlives its page (Fetch standard). */
const KEEPALIVE_BYTES_MAX = 65_536;
const MINUTE_MS = 60_000;
/** The longest that a held clock is let run. */
const SECONDS_MAX = 600;
/** A browser that is driven by a program, as this one, says so with every event. */
const DRIVEN = { webdriver: true };
const PLAIN = '<body><h1>Shop</h1></body>';

let browser: Browser;

before(async () => {
  browser = await launchBrowser();
});
after(() => browser.close());

interface Opened {
  server: PageServer;
  page: Page;
  /** Warnings on the page's console. */
  warnings: string[];
  /** Errors that reached the page. */
  errors: string[];
  /** Origins that were asked for anything. */
  origins: Set<string>;
}

/** A server and a browser context of the test's own, closed with it; no page is loaded yet. */
async function start(
  t: TestContext,
  pages: Readonly<Record<string, string>>,
  moreRoutes: readonly Route[] = [],
): Promise<Opened> {
  const server = await startPageServer(pages, moreRoutes);
  const context = await browser.newContext({ locale: 'en-GB' });
  t.after(async () => {
    await context.close();
    await server.close();
  });
  const opened: Opened = {
    server,
    page: await context.newPage(),
    warnings: [],
    errors: [],
    origins: new Set(),
  };
  opened.page.on('console', (message) => {
    if (message.type() === 'warning') opened.warnings.push(message.text());
  });
  opened.page.on('pageerror', (error) => opened.errors.push(error.message));
  context.on('request', (request) => opened.origins.add(new URL(request.url()).origin));
  return opened;
}

const names = (events: readonly { event_name: string }[]): string[] =>
  events.map(({ event_name }) => event_name);

/** The page's clock under our hand, from before the SDK is there. */
async function holdClock(page: Page): Promise<void> {
  await page.clock.install();
  await page.clock.pauseAt(Date.now() + MINUTE_MS);
}

/** Lets seconds pass for the page until it is so; returns how many. */
async function runUntil(page: Page, isSo: () => boolean): Promise<number> {
  for (let passedS = 1; passedS <= SECONDS_MAX; passedS++) {
    await page.clock.runFor(1_000);
    if (isSo()) return passedS;
  }
  throw new Error(`it did not happen within ${SECONDS_MAX} s of the page's clock`);
}

function hide(): void {
  Object.defineProperty(document, 'visibilityState', { value: 'hidden', configurable: true });
  document.dispatchEvent(new Event('visibilitychange', { bubbles: true }));
}

test('the first page view tells the page, the browser, the visit', async (t) => {
  const { server, page, warnings, errors } = await start(t, { '/sale': PLAIN });
  await page.goto(`${server.url}/sale?utm_campaign=autumn#top`);
  const [event] = await server.events(1);
  assert.ok(event);
  assert.equal(event.event_name, 'page_view');
  assert.equal(event.url, `${server.url}/sale?utm_campaign=autumn#top`);
  assert.equal(event.path, '/sale');
  assert.equal(event.utm_campaign, 'autumn');
  assert.equal(event.title, 'Page /sale');
  assert.equal(event.referrer, undefined);
  assert.equal(event.language, 'en-GB');
  assert.match(event.screen ?? '', /^\d+x\d+$/);
  assert.equal(event.traffic_source, 'WEB');
  assert.equal(event.sequence, 1);
  assert.deepEqual(event.properties, DRIVEN);
  assert.match(event.event_id, /^[0-9a-z]{24}$/);
  assert.match(event.session_id, /^[0-9a-z]{16}$/);
  assert.match(event.visitor_id, /^[0-9a-z]{12}$/);
  assert.deepEqual({ warnings, errors }, { warnings: [], errors: [] });
});

test('going to another address within the page is a page view, there and back', async (t) => {
  const { server, page } = await start(t, { '/': PLAIN });
  await page.goto(server.url);
  await server.events(1);
  await page.evaluate(() => {
    history.pushState(null, '', '/socks');
    // As applications do: the title is set after the address.
    document.title = 'Socks';
  });
  await server.events(2);
  await page.evaluate(() => history.replaceState(null, '', '/socks?size=42'));
  await server.events(3);
  await page.evaluate(() => history.back());
  const events = await server.events(4);
  assert.deepEqual(
    events.map(({ event_name, url, title }) => [event_name, url?.slice(server.url.length), title]),
    [
      ['page_view', '/', 'Page /'],
      ['page_view', '/socks', 'Socks'],
      ['page_view', '/socks?size=42', 'Socks'],
      ['page_view', '/', 'Socks'],
    ],
  );
});

test('without the Navigation API going to another address is a page view as well', async (t) => {
  const { server, page } = await start(t, { '/': PLAIN });
  await page.addInitScript('delete window.navigation');
  await page.goto(server.url);
  await server.events(1);
  await page.evaluate(() => history.pushState(null, '', '/socks'));
  await server.events(2);
  await page.evaluate(() => history.replaceState(null, '', '/shoes'));
  await server.events(3);
  await page.evaluate(() => history.back());
  const events = await server.events(4);
  assert.deepEqual(
    events.map(({ path }) => path),
    ['/', '/socks', '/shoes', '/'],
  );
});

test('a jump within the page, or the same address again, is no page view', async (t) => {
  const { server, page } = await start(t, { '/': PLAIN });
  await page.goto(server.url);
  await page.evaluate(async () => {
    const changed = new Promise((resolve) => addEventListener('hashchange', resolve));
    location.hash = 'reviews';
    await changed;
    history.replaceState({ scroll: 400 }, '', location.href);
    // Queued behind anything that the SDK has queued by now.
    await new Promise((resolve) => setTimeout(resolve));
    window.clickstream?.track('LAST');
  });
  assert.deepEqual(names(await server.events(2)), ['page_view', 'LAST']);
});

test('a page that comes back from the browser’s memory is a page view', async (t) => {
  const { server, page } = await start(t, { '/': PLAIN });
  await page.goto(server.url);
  await server.events(1);
  await page.evaluate(() => {
    dispatchEvent(new PageTransitionEvent('pageshow', { persisted: false }));
    dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }));
    window.clickstream?.track('LAST');
  });
  assert.deepEqual(names(await server.events(3)), ['page_view', 'page_view', 'LAST']);
});

test('a page that is drawn ahead is a page view when it is shown, not before', async (t) => {
  const { server, page } = await start(t, { '/': PLAIN });
  await page.addInitScript(() => {
    Object.defineProperty(document, 'prerendering', { value: true, configurable: true });
  });
  await page.goto(server.url);
  await page.evaluate(() => {
    window.clickstream?.track('AHEAD');
    Object.defineProperty(document, 'prerendering', { value: false });
    document.dispatchEvent(new Event('prerenderingchange'));
  });
  assert.deepEqual(names(await server.events(2)), ['AHEAD', 'page_view']);
});

test('data-page names the page view, anew for each address', async (t) => {
  const { server, page } = await start(t, { '/': '<body data-page="HOMEPAGE"></body>' });
  await page.goto(server.url);
  await server.events(1);
  await page.evaluate(() => {
    history.pushState(null, '', '/socks');
    document.body.dataset.page = 'ITEM_DETAIL';
  });
  assert.deepEqual(names(await server.events(2)), ['HOMEPAGE', 'ITEM_DETAIL']);
});

test('a click on what has data-track is an event with its fields', async (t) => {
  const { server, page, errors } = await start(t, {
    '/': `<body>
      <button data-track="ADD_TO_CART" data-track-product_id="42" data-track-quantity="2"
        data-track-shelf="A 3" onclick="event.stopPropagation()"><b>Add</b></button>
      <button data-track="" id="nameless">No name</button><button id="plain">Plain</button></body>`,
  });
  await page.goto(server.url);
  await page.locator('#plain').click();
  await page.locator('#nameless').click();
  await page.locator('b').click();
  const [, event] = await server.events(2);
  assert.equal(event?.event_name, 'ADD_TO_CART');
  assert.equal(event.product_id, '42');
  assert.equal(event.quantity, 2);
  assert.deepEqual(event.properties, { ...DRIVEN, shelf: 'A 3' });
  assert.deepEqual(errors, []);
});

test('track puts fields into their columns and the rest into the properties', async (t) => {
  const { server, page, warnings } = await start(t, { '/': PLAIN });
  await page.goto(server.url);
  await page.evaluate(() =>
    window.clickstream?.track('BOOKING', {
      booking_id: 'b-1',
      value: '49.90',
      currency: 'EUR',
      payment_status: 'Success',
      title: 'Thank you',
      gift: true,
      basket: { items: 3 },
    }),
  );
  const [, event] = await server.events(2);
  assert.equal(event?.event_name, 'BOOKING');
  assert.equal(event.booking_id, 'b-1');
  assert.equal(event.value, '49.9');
  assert.equal(event.payment_status, 'Success');
  assert.equal(event.title, 'Thank you');
  assert.deepEqual(event.properties, { ...DRIVEN, gift: true, basket: { items: 3 } });
  assert.deepEqual(warnings, []);
});

test('identify puts the customer on what follows', async (t) => {
  const { server, page } = await start(t, { '/': PLAIN });
  await page.goto(server.url);
  await page.evaluate(() => {
    window.clickstream?.identify('customer-7');
    window.clickstream?.track('AFTER');
  });
  const events = await server.events(2);
  assert.deepEqual(
    events.map(({ customer_id }) => customer_id),
    [undefined, 'customer-7'],
  );
});

test('many events at once arrive all, each once, in order', async (t) => {
  const { server, page } = await start(t, { '/': PLAIN });
  await page.goto(server.url);
  const bodies: Buffer[] = [];
  page.on('request', (request) => bodies.push(request.postDataBuffer() ?? Buffer.alloc(0)));
  await page.evaluate(() => {
    for (let i = 0; i < 600; i++)
      window.clickstream?.track('MANY', { i, filler: 'é'.repeat(i * 4) });
  });
  const events = (await server.events(601)).slice(1);
  assert.deepEqual(
    events.map(({ properties }) => properties?.i),
    Array.from({ length: 600 }, (_, i) => i),
  );
  assert.equal(new Set(events.map(({ event_id }) => event_id)).size, 600);
  assert.deepEqual(
    events.map(({ sequence }) => sequence),
    Array.from({ length: 600 }, (_, i) => i + 2),
  );
  assert.ok(Math.max(...bodies.map(({ length }) => length)) < KEEPALIVE_BYTES_MAX);
});

test('an answer of 503 is repeated after Retry-After with the same events', async (t) => {
  const retryAfterS = 120;
  const { server, page, warnings } = await start(t, { '/': PLAIN });
  await holdClock(page);
  server.refusals.push({ code: 'log_full', retryAfterS });
  const bodies: string[] = [];
  page.on('request', (request) => {
    if (request.method() === 'POST') bodies.push(request.postData() ?? '');
  });
  await page.goto(server.url);
  const refused = page.waitForResponse((response) => response.status() === 503);
  await page.clock.runFor(1_000);
  await refused;
  await page.evaluate(() => window.clickstream?.track('MEANWHILE'));
  const waitedS = await runUntil(page, () => server.posts() === 2);
  const events = await server.events(2);
  assert.ok(waitedS >= retryAfterS, `it was sent again after ${waitedS} s`);
  assert.deepEqual(names(events), ['page_view', 'MEANWHILE']);
  const ids = bodies.map((body) =>
    (JSON.parse(body) as { events: { event_id: string }[] }).events.map((e) => e.event_id),
  );
  assert.equal(ids.length, 2);
  assert.equal(ids[0]?.[0], ids[1]?.[0]);
  assert.equal(ids[0]?.[0], events[0]?.event_id);
  assert.deepEqual(warnings, []);
});

test('a collector that cannot be reached is tried again', async (t) => {
  const { server, page } = await start(t, { '/': PLAIN });
  let failures = 0;
  await page.route('**/v1/events*', (route) =>
    failures++ < 2 ? route.abort('connectionrefused') : route.continue(),
  );
  await page.goto(server.url);
  assert.deepEqual(names(await server.events(1)), ['page_view']);
  assert.equal(failures, 3);
});

test('what is refused for good is not repeated, and the console says so', async (t) => {
  const { server, page, warnings, errors } = await start(t, { '/': PLAIN });
  server.refusals.push({ code: 'bad_request' });
  const refused = page.waitForResponse((response) => response.status() === 400);
  await page.goto(server.url);
  await refused;
  await page.evaluate(() => window.clickstream?.track('LATER'));
  const events = await server.events(1);
  assert.deepEqual(names(events), ['LATER']);
  assert.equal(server.posts(), 2);
  assert.match(warnings[0] ?? '', /^clickstream: refused with 400/);
  assert.deepEqual(errors, []);
});

test('one refused event of a batch is told of and takes no other with it', async (t) => {
  const { server, page, warnings } = await start(t, { '/': PLAIN });
  await page.goto(server.url);
  const warned = page.waitForEvent('console');
  await page.evaluate(() => {
    window.clickstream?.track('BAD', { quantity: 'two' });
    window.clickstream?.track('GOOD');
  });
  assert.deepEqual(names(await server.events(2)), ['page_view', 'GOOD']);
  await warned;
  assert.match(warnings[0] ?? '', /quantity/);
});

test('what waits when the page is left is sent all the same', async (t) => {
  const { server, page } = await start(t, { '/': PLAIN, '/next': PLAIN });
  await page.goto(server.url);
  await server.events(1);
  // The timer of the queue never fires on this page again.
  await holdClock(page);
  await page.evaluate(() => {
    window.clickstream?.track('LAST');
    location.assign('/next');
  });
  assert.deepEqual(names(await server.events(2)), ['page_view', 'LAST']);
});

test('a browser that tells of leaving only, not of hiding, sends as well', async (t) => {
  const { server, page } = await start(t, { '/': PLAIN });
  await holdClock(page);
  await page.goto(server.url);
  await page.evaluate(() => dispatchEvent(new PageTransitionEvent('pagehide')));
  assert.deepEqual(names(await server.events(1)), ['page_view']);
});

test('what waits when the page is hidden is sent at once, and not again', async (t) => {
  const { server, page } = await start(t, { '/': PLAIN });
  await holdClock(page);
  await page.goto(server.url);
  await page.evaluate(() => window.clickstream?.track('BEFORE'));
  await page.evaluate(hide);
  assert.deepEqual(names(await server.events(2)), ['page_view', 'BEFORE']);
  await page.evaluate(() => window.clickstream?.track('AFTER'));
  await page.clock.runFor(1_000);
  assert.deepEqual(names(await server.events(3)), ['page_view', 'BEFORE', 'AFTER']);
  assert.equal(server.posts(), 2);
});

test('a page that is hidden while the collector refuses loses nothing', async (t) => {
  const { server, page } = await start(t, { '/': PLAIN });
  await holdClock(page);
  server.refusals.push({ code: 'log_full' }, { code: 'log_full' });
  await page.goto(server.url);
  const refused = page.waitForResponse((response) => response.status() === 503);
  await page.clock.runFor(1_000);
  await refused;
  // The beacon is refused as well, which nobody tells the page.
  await page.evaluate(hide);
  await runUntil(page, () => server.posts() === 3);
  assert.deepEqual(names(await server.events(1)), ['page_view']);
});

test('a script tag without a key warns, and the page goes on', async (t) => {
  const html = '<!doctype html><title>Keyless</title><script src="/sdk.js"></script><h1>Shop</h1>';
  const keyless: Route = {
    method: 'GET',
    path: '/keyless',
    handle: ({ response }) => send(response, 200, html, { 'content-type': 'text/html' }),
  };
  const { server, page, warnings, errors } = await start(t, {}, [keyless]);
  await page.goto(`${server.url}/keyless`);
  assert.equal(await page.locator('h1').textContent(), 'Shop');
  assert.match(warnings[0] ?? '', /data-key/);
  assert.equal(await page.evaluate(() => typeof window.clickstream), 'undefined');
  assert.deepEqual(errors, []);
});

test('two script tags count once', async (t) => {
  const { server, page } = await start(t, {
    '/': `<body><script src="/sdk.js" data-key="${KEY}"></script></body>`,
  });
  await page.goto(server.url);
  await page.evaluate(() => window.clickstream?.track('LAST'));
  const events = await server.events(2);
  assert.deepEqual(names(events), ['page_view', 'LAST']);
  // Nothing else was counted in this visit, sent or not.
  assert.equal(events[1]?.sequence, 2);
});

test('fields that cannot be written as JSON warn and do not throw', async (t) => {
  const { server, page, warnings, errors } = await start(t, { '/': PLAIN });
  await page.goto(server.url);
  await page.evaluate(() => {
    const circular: { self?: unknown } = {};
    circular.self = circular;
    // Pages are not type-checked.
    const track = window.clickstream?.track as (name: string, fields: unknown) => void;
    track('CIRCULAR', circular);
    track('BIGINT', { count: 1n });
    track('LARGE', { text: 'x'.repeat(70_000) });
    track('GOOD', {});
  });
  assert.deepEqual(names(await server.events(2)), ['page_view', 'GOOD']);
  assert.equal(warnings.length, 3);
  assert.match(warnings[0] ?? '', /CIRCULAR is not sent/);
  assert.match(warnings[1] ?? '', /BIGINT is not sent/);
  assert.match(warnings[2] ?? '', /an event of \d+ bytes is not sent/);
  assert.deepEqual(errors, []);
});

test('where storage is forbidden the visit lives as long as the page', async (t) => {
  const { server, page, errors } = await start(t, {
    // A sandboxed frame has an origin of its own and no storage.
    '/': '<body data-page="OUTER"><iframe sandbox="allow-scripts" src="/framed"></iframe></body>',
    '/framed': '<body data-page="FRAMED"><button data-track="CLICK">Click</button></body>',
  });
  await page.goto(server.url);
  await page.frameLocator('iframe').getByRole('button').click();
  const events = (await server.events(3)).filter(({ event_name }) => event_name !== 'OUTER');
  assert.deepEqual(names(events), ['FRAMED', 'CLICK']);
  assert.deepEqual(
    events.map(({ sequence }) => sequence),
    [1, 2],
  );
  assert.equal(events[0]?.session_id, events[1]?.session_id);
  assert.equal(events[0]?.visitor_id, events[1]?.visitor_id);
  assert.deepEqual(errors, []);
});

test('a visit goes on from page to page until half an hour passes without an event', async (t) => {
  const { server, page } = await start(t, { '/': PLAIN, '/next': PLAIN });
  await page.clock.install();
  await page.goto(server.url);
  await server.events(1);
  await page.clock.fastForward(29 * MINUTE_MS);
  await page.goto(`${server.url}/next`);
  await server.events(2);
  await page.clock.fastForward(29 * MINUTE_MS);
  await page.evaluate(() => window.clickstream?.track('STILL'));
  await server.events(3);
  await page.clock.fastForward(31 * MINUTE_MS);
  await page.evaluate(() => window.clickstream?.track('AGAIN'));
  const events = await server.events(4);
  assert.deepEqual(
    events.map(({ sequence }) => sequence),
    [1, 2, 3, 1],
  );
  const [first, second, third, fourth] = events.map(({ session_id }) => session_id);
  assert.equal(second, first);
  assert.equal(third, first);
  assert.notEqual(fourth, first);
  assert.equal(new Set(events.map(({ visitor_id }) => visitor_id)).size, 1);
});

test('strange words in its storage begin a new visit', async (t) => {
  const { server, page, errors } = await start(t, { '/': PLAIN });
  await page.addInitScript(() => {
    if (location.protocol === 'http:') localStorage.setItem('clickstream.session', 'x -1 later');
  });
  await page.goto(server.url);
  const [event] = await server.events(1);
  assert.equal(event?.sequence, 1);
  assert.match(event.session_id, /^[0-9a-z]{16}$/);
  assert.deepEqual(errors, []);
});

test('nobody but the collector is asked for anything, and nothing is put in a cookie', async (t) => {
  const { server, page, origins } = await start(t, { '/': PLAIN });
  await page.goto(server.url);
  await page.evaluate(() => window.clickstream?.track('CLICK'));
  await server.events(2);
  assert.deepEqual([...origins], [server.url]);
  assert.deepEqual(await page.context().cookies(), []);
});

test('it is small', async (t) => {
  const { server } = await start(t, {});
  const script = await fetch(`${server.url}/sdk.js`);
  const bytes = gzipSync(await script.text()).length;
  t.diagnostic(`sdk.js: ${bytes} bytes by gzip`);
  assert.ok(bytes <= GZIP_BYTES_MAX, `${bytes} bytes`);
});
