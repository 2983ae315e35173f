/**
 * A synthetic shop: visits with the event mix, lengths, products and payments of a real fashion
 * shop's published shape, and nobody's data. Everything follows from the seed and the times asked
 * for, so a run can be repeated to the byte.
 *
 * Shape: about 14 events a visit (most have four to ten), nine in ten by MOBILE, a payment in
 * twenty fails. Names of products and people are made up; ids are as our SDK makes them.
 */
import { createRandom } from './random.ts';
import type { SentEvent } from './sent-event.ts';
import {
  ADJECTIVES,
  BOOKING_SHARE,
  CATEGORIES,
  HOURS,
  LANGUAGES,
  LENGTH_EVENTS_MAX,
  LENGTHS,
  MEAN_EVENTS,
  METHODS,
  MOBILE_DEVICES,
  MOBILE_SHARE,
  NEXT_EVENTS,
  PROMO_CODES,
  SEARCHES,
  SOURCES,
  SUCCESS_SHARE,
  TAIL,
  TAIL_MEAN_EVENTS,
  WEB_DEVICES,
  WEEKDAYS,
} from './shape.ts';

export interface Shop {
  /** The whole of one visit that begins at `startMs`, in order. */
  visit(startMs: number): SentEvent[];
  /**
   * `count` events that happen now, each in one of many visits that go on side by side and from
   * call to call. The first ones come from visits that have begun before, as in a shop that is open.
   */
  nextEvents(nowMs: number, count: number): SentEvent[];
  /**
   * Backdated events between two times, in the order of time, with the rhythm of days and weeks;
   * about `events` of them (visits that are not over at `toMs` are cut there).
   */
  history(fromMs: number, toMs: number, events: number): Generator<SentEvent>;
}

export interface ShopOptions {
  seed: number;
  /** Visits that go on side by side in `nextEvents`. */
  visitsAtOnce?: number;
}

interface Product {
  id: string;
  name: string;
  category: string;
  subCategory: string;
  price: string;
}

interface Visitor {
  visitorId: string;
  customerId: string | undefined;
  gender: string;
  birthdate: string;
  mobile: boolean;
  device: readonly [string, string, string, string];
  language: string;
}

const ORIGIN = 'https://shop.example';
const PRODUCTS = 1_000;
const VISITORS = 5_000;
const CUSTOMERS = 100_000;
const HOUR_MS = 3_600_000;
const MONTH_MS = 30 * 24 * HOUR_MS;

export function createShop({ seed, visitsAtOnce = 400 }: ShopOptions): Shop {
  const random = createRandom(seed);
  const products = makeProducts();
  const visitors = Array.from({ length: VISITORS }, makeVisitor);
  const running = new Map<number, { events: SentEvent[]; next: number }>();

  /** Best sellers first: an order of their own, so that they come from every category. */
  function makeProducts(): Product[] {
    const made = CATEGORIES.flatMap(([category, share, subCategories, low, high]) =>
      Array.from({ length: Math.ceil(share * PRODUCTS) }, (_, i) => {
        const subCategory = subCategories[i % subCategories.length] ?? '';
        return {
          category,
          subCategory,
          name: `${random.one(ADJECTIVES)} ${subCategory} ${random.whole(1, 99)}`,
          price: (random.whole(low * 100, high * 100) / 100).toFixed(2),
          rank: random.whole(0, 2 ** 30),
        };
      }),
    );
    return made
      .sort((a, b) => a.rank - b.rank)
      .map(({ rank, ...product }, i) => ({ id: String(10_000 + i * 7), ...product }));
  }

  function makeVisitor(): Visitor {
    const mobile = random.happens(MOBILE_SHARE);
    const [type, os, browser, screen] = mobile
      ? random.weighted(MOBILE_DEVICES)
      : random.weighted(WEB_DEVICES);
    const { whole } = random;
    return {
      visitorId: random.bits(60),
      customerId: random.happens(0.7) ? String(whole(1, CUSTOMERS)) : undefined,
      gender: random.happens(0.64) ? 'F' : 'M',
      birthdate: `${whole(1960, 2007)}-${two(whole(1, 12))}-${two(whole(1, 28))}`,
      mobile,
      device: [type, os, browser, screen],
      language: random.weighted(LANGUAGES)[0],
    };
  }

  function visitLength(): number {
    const [length] = random.weighted(LENGTHS);
    if (length !== TAIL) return length;
    return Math.min(LENGTH_EVENTS_MAX, 11 + Math.floor(random.exponential(TAIL_MEAN_EVENTS)));
  }

  function visit(startMs: number): SentEvent[] {
    const who = random.one(visitors);
    const [device_type, os, browser, screen] = who.device;
    const [referrer, campaign] = random.weighted(SOURCES);
    const books = random.happens(BOOKING_SHARE);
    const length = visitLength() - (books ? 1 : 0);
    const session_id = random.id(startMs, 40);
    const events: SentEvent[] = [];
    let timeMs = startMs;
    let product = random.popular(products);
    let url = `${ORIGIN}/${campaign}`;
    const push = (event_name: string): void => {
      events.push({
        event_name,
        event_id: random.id(timeMs, 80),
        session_id,
        visitor_id: who.visitorId,
        ...(who.customerId === undefined ? {} : { customer_id: who.customerId }),
        sequence: events.length + 1,
        event_time: timeMs,
        traffic_source: who.mobile ? 'MOBILE' : 'WEB',
        url,
        ...(events.length === 0 && referrer !== '' ? { referrer } : {}),
        device_type,
        os,
        browser,
        screen,
        language: who.language,
        ...ownFields(event_name, product, who),
      });
      timeMs += random.whole(1_000, 45_000);
    };
    push('HOMEPAGE');
    while (events.length < length) {
      const [name] = random.weighted(NEXT_EVENTS);
      if (name === 'HOMEPAGE') url = `${ORIGIN}/`;
      if (name === 'PROMO_PAGE') url = `${ORIGIN}/promo/${random.one(PROMO_CODES).toLowerCase()}`;
      if (name === 'SEARCH') url = `${ORIGIN}/search`;
      if (name === 'ITEM_DETAIL' || name === 'ADD_TO_CART') {
        product = random.popular(products);
        url = `${ORIGIN}/product/${product.id}`;
      }
      push(name);
    }
    url = `${ORIGIN}/checkout`;
    if (books) push('BOOKING');
    return events;
  }

  /** What an event of this name carries beside what all have. */
  function ownFields(name: string, product: Product, who: Visitor): Partial<SentEvent> {
    const seen = {
      product_id: product.id,
      master_category: product.category,
      sub_category: product.subCategory,
    };
    switch (name) {
      case 'HOMEPAGE':
        return { title: 'Fashion for every day' };
      case 'SEARCH':
        return { search_keywords: random.popular(SEARCHES) };
      case 'ITEM_DETAIL':
        return { ...seen, title: product.name };
      case 'ADD_TO_CART':
        return { ...seen, quantity: quantity(), item_price: product.price, currency: 'USD' };
      case 'ADD_PROMO':
        return {
          promo_code: random.one(PROMO_CODES),
          promo_amount: String(random.whole(1, 10)),
          currency: 'USD',
        };
      case 'CLICK':
        return { properties: { target: who.mobile ? 'tile' : 'menu' } };
      case 'SCROLL':
        return { properties: { depth: random.whole(1, 10) * 10 } };
      case 'BOOKING':
        return { ...seen, ...booking(product, who) };
      default:
        return {};
    }
  }

  function booking(product: Product, who: Visitor): Partial<SentEvent> {
    const bought = quantity();
    return {
      booking_id: random.bits(60),
      payment_method: random.weighted(METHODS)[0],
      payment_status: random.happens(SUCCESS_SHARE) ? 'Success' : 'Failed',
      quantity: bought,
      item_price: product.price,
      value: (Number(product.price) * bought).toFixed(2),
      currency: 'USD',
      gender: who.gender,
      birthdate: who.birthdate,
    };
  }

  function quantity(): number {
    return random.whole(1, 3);
  }

  function nextEvent(nowMs: number): SentEvent {
    const place = random.whole(0, visitsAtOnce - 1);
    let now = running.get(place);
    if (now === undefined) {
      const events = visit(nowMs);
      now = { events, next: random.whole(0, events.length - 1) };
    } else if (now.next >= now.events.length) {
      now = { events: visit(nowMs), next: 0 };
    }
    running.set(place, now);
    const event = now.events[now.next++] as SentEvent;
    return { ...event, event_id: random.id(nowMs, 80), event_time: nowMs };
  }

  return {
    visit,
    nextEvents: (nowMs, count) => Array.from({ length: count }, () => nextEvent(nowMs)),
    *history(fromMs, toMs, events) {
      const hours = visitsPerHour(fromMs, toMs, events / MEAN_EVENTS);
      // Visits outlast the hour they begin in: what is later than the hour waits for its turn.
      const waiting: SentEvent[] = [];
      let owed = 0;
      for (const [i, visits] of hours.entries()) {
        const hourMs = fromMs + i * HOUR_MS;
        const endMs = Math.min(hourMs + HOUR_MS, toMs);
        for (owed += visits; owed >= 1; owed--)
          waiting.push(...visit(random.whole(hourMs, endMs - 1)));
        waiting.sort((a, b) => Number(a.event_time) - Number(b.event_time));
        const due = waiting.findIndex((event) => Number(event.event_time) >= endMs);
        const ready = due === -1 ? waiting.splice(0) : waiting.splice(0, due);
        yield* ready;
      }
    },
  };
}

/** `visits` shared out over the hours; a month has a tenth more than the one before. */
function visitsPerHour(fromMs: number, toMs: number, visits: number): number[] {
  const weights = Array.from({ length: Math.ceil((toMs - fromMs) / HOUR_MS) }, (_, i) => {
    const date = new Date(fromMs + i * HOUR_MS);
    const growth = 1.1 ** ((i * HOUR_MS) / MONTH_MS);
    return (HOURS[date.getUTCHours()] ?? 0) * (WEEKDAYS[date.getUTCDay()] ?? 0) * growth;
  });
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => (visits * weight) / total);
}

function two(number: number): string {
  return String(number).padStart(2, '0');
}
