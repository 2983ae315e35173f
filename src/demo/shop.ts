/**
 * A synthetic shop: visits with the event mix, lengths, products and payments of a real fashion
 * shop's published shape, and nobody's data. Everything follows from the seed and the times asked
 * for, so a run can be repeated to the byte.
 *
 * Shape: about 14 events a visit (most have four to ten), nine in ten by MOBILE, a payment in
 * twenty fails. Names of products and people are made up; ids are as our SDK makes them.
 */
import type { SentEvent } from './sent-event.ts';

export interface Shop {
  /** The whole of one visit that begins at `startMs`, in order. */
  visit(startMs: number): SentEvent[];
  /**
   * Events that happen now in many visits at once: `count` of them, the first at `nowMs`, each of
   * a visit that goes on with the next call.
   */
  nextEvents(nowMs: number, count: number): SentEvent[];
  /** Backdated visits between two times with the rhythm of days and weeks, about `events` events. */
  history(fromMs: number, toMs: number, events: number): Generator<SentEvent>;
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

/** Category, its share of products, sub-categories, lowest and highest price. */
const CATEGORIES = [
  ['Apparel', 0.48, ['Topwear', 'Bottomwear', 'Innerwear', 'Dress', 'Loungewear'], 9, 89],
  ['Accessories', 0.26, ['Bags', 'Watches', 'Belts', 'Eyewear', 'Wallets', 'Socks'], 5, 149],
  ['Footwear', 0.19, ['Shoes', 'Sandals', 'Flip Flops'], 15, 139],
  ['Personal Care', 0.05, ['Fragrance', 'Lips', 'Nails', 'Makeup'], 4, 59],
  ['Free Items', 0.01, ['Free Gifts'], 0, 1],
  ['Sporting Goods', 0.01, ['Sports Equipment'], 12, 99],
] as const;
const ADJECTIVES = [
  'Blue',
  'Black',
  'White',
  'Red',
  'Green',
  'Striped',
  'Classic',
  'Slim',
  'Soft',
  'Bold',
];

/** Event names after the first page, with their share of what follows (HOMEPAGE opens a visit). */
const NEXT_EVENTS = [
  ['CLICK', 19.5],
  ['HOMEPAGE', 12.4],
  ['ADD_TO_CART', 15.1],
  ['SCROLL', 13],
  ['ITEM_DETAIL', 10.1],
  ['SEARCH', 9.1],
  ['PROMO_PAGE', 4.7],
  ['ADD_PROMO', 2.5],
] as const;
const BOOKING_SHARE = 0.95;

/** Visits by their number of events (published counts, in thousands, for 2 to 10; then a tail). */
const LENGTHS = [4.8, 8.2, 90.3, 83.3, 68.3, 59.1, 52.7, 47.6, 43.2] as const;
const LENGTHS_TOTAL = 895.2;
const METHODS = [
  ['Credit Card', 34],
  ['Gopay', 22],
  ['OVO', 18],
  ['Debit Card', 15],
  ['LinkAja', 11],
] as const;
const SOURCES = [
  ['', '', 38],
  ['https://www.google.com/', '', 27],
  ['https://www.instagram.com/', '', 8],
  ['', '?utm_source=google&utm_medium=cpc&utm_campaign=autumn', 11],
  ['', '?utm_source=newsletter&utm_medium=email&utm_campaign=weekly', 9],
  ['https://blog.fashion.example/looks', '', 5],
  [
    'https://www.facebook.com/',
    '?utm_source=facebook&utm_medium=paid_social&utm_campaign=looks',
    2,
  ],
] as const;
const MOBILE_DEVICES = [
  ['mobile', 'Android', 'Chrome', '412x915', 62],
  ['mobile', 'iOS', 'Safari', '390x844', 33],
  ['tablet', 'iPadOS', 'Safari', '820x1180', 5],
] as const;
const WEB_DEVICES = [
  ['desktop', 'Windows', 'Chrome', '1920x1080', 55],
  ['desktop', 'macOS', 'Safari', '1512x982', 25],
  ['desktop', 'Windows', 'Microsoft Edge', '1536x864', 14],
  ['desktop', 'Linux', 'Firefox', '1920x1080', 6],
] as const;
const LANGUAGES = [
  ['id-ID', 62],
  ['en-US', 24],
  ['en-GB', 8],
  ['de-DE', 6],
] as const;
const SEARCHES = [
  'black dress',
  'running shoes',
  'blue jeans',
  'leather bag',
  'watch',
  'summer hat',
  'sneakers',
  'socks',
  'red lipstick',
  'perfume',
  'slim shirt',
  'sandals',
  'belt',
  'sunglasses',
  'gift',
];
const PROMO_CODES = ['AUTUMN10', 'WELCOME', 'FREESHIP', 'WEEKEND5'];
/** Visits that begin in each hour of the day (UTC), of 100. */
const HOURS = [
  3.2, 2.6, 2.4, 2.5, 3.0, 3.6, 4.2, 4.6, 4.8, 4.9, 5.0, 5.2, 5.4, 5.3, 5.1, 4.9, 4.8, 4.6, 4.4,
  4.3, 4.1, 3.9, 3.7, 3.5,
];
const WEEKDAYS = [1.12, 0.94, 0.92, 0.95, 0.98, 1.04, 1.15];
const DAY_MS = 86_400_000;

export interface ShopOptions {
  seed: number;
  /** Visits that go on side by side in `nextEvents`. */
  visitsAtOnce?: number;
}

const ORIGIN = 'https://shop.example';

export function createShop({ seed, visitsAtOnce = 400 }: ShopOptions): Shop {
  const random = mulberry32(seed);
  const whole = (min: number, max: number): number => min + Math.floor(random() * (max - min + 1));
  const one = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
  /** The first are asked for most, as in any shop. */
  const popular = <T>(values: readonly T[]): T =>
    values[Math.floor(random() ** 3 * values.length)] as T;
  const weighted = <T extends readonly [...unknown[], number]>(rows: readonly T[]): T => {
    const shares = rows.map((row) => Number(row.at(-1)));
    return rows[pick(shares, random() * sum(shares))] ?? (rows[0] as T);
  };
  // In an order of their own, so that the popular ones come from every category.
  const products = makeProducts().sort((a, b) => Number(a.id) - Number(b.id));
  const visitors = Array.from({ length: 5_000 }, makeVisitor);
  const open: { events: SentEvent[]; next: number }[] = [];

  function makeProducts(): Product[] {
    return CATEGORIES.flatMap(([category, share, subCategories, low, high]) =>
      Array.from({ length: Math.ceil(share * 1_000) }, (_, i) => {
        const subCategory = subCategories[i % subCategories.length] ?? '';
        const price = (low + random() * (high - low)).toFixed(2);
        const name = `${one(ADJECTIVES)} ${subCategory} ${whole(1, 99)}`;
        return { id: String(10_000 + whole(0, 49_999)), name, category, subCategory, price };
      }),
    );
  }

  function makeVisitor(): Visitor {
    const mobile = random() < 0.905;
    const [type, os, browser, screen] = mobile ? weighted(MOBILE_DEVICES) : weighted(WEB_DEVICES);
    return {
      visitorId: id(0, 60),
      customerId: random() < 0.7 ? String(whole(1, 100_000)) : undefined,
      gender: random() < 0.64 ? 'F' : 'M',
      birthdate: `${whole(1960, 2007)}-${two(whole(1, 12))}-${two(whole(1, 28))}`,
      mobile,
      device: [type, os, browser, screen],
      language: weighted(LANGUAGES)[0],
    };
  }

  /** As the SDK makes them: milliseconds and random bits, in base 36. */
  function id(timeMs: number, bits: number): string {
    let text = timeMs === 0 ? '' : timeMs.toString(36);
    for (let left = bits; left > 0; left -= 30) {
      text += Math.floor(random() * 2 ** Math.min(30, left))
        .toString(36)
        .padStart(Math.ceil(Math.min(30, left) / 5.17), '0');
    }
    return text;
  }

  function visitLength(): number {
    const short = pick(LENGTHS, random() * LENGTHS_TOTAL);
    // The tail falls by half every eight events, which gives the published mean of 14.3.
    return short === -1
      ? Math.min(650, 11 + Math.floor(-Math.log(1 - random()) * 12.2))
      : short + 2;
  }

  function visit(startMs: number): SentEvent[] {
    const who = one(visitors);
    const [referrer, campaign] = weighted(SOURCES);
    const length = visitLength();
    const books = random() < BOOKING_SHARE;
    const session_id = id(startMs, 40);
    const events: SentEvent[] = [];
    let timeMs = startMs;
    let product = popular(products);
    let page = `${ORIGIN}/${campaign}`;
    const push = (event_name: string, more: Partial<SentEvent> = {}): void => {
      const [device_type, os, browser, screen] = who.device;
      events.push({
        event_name,
        event_id: id(timeMs, 80),
        session_id,
        visitor_id: who.visitorId,
        ...(who.customerId === undefined ? {} : { customer_id: who.customerId }),
        sequence: events.length + 1,
        event_time: timeMs,
        traffic_source: who.mobile ? 'MOBILE' : 'WEB',
        url: page,
        ...(events.length === 0 && referrer !== '' ? { referrer } : {}),
        device_type,
        os,
        browser,
        screen,
        language: who.language,
        ...more,
      });
      timeMs += whole(1_000, 45_000);
    };
    push('HOMEPAGE', { title: 'Fashion for every day' });
    while (events.length < length - (books ? 1 : 0)) {
      const [name] = weighted(NEXT_EVENTS);
      if (name === 'HOMEPAGE') page = `${ORIGIN}/`;
      else if (name === 'PROMO_PAGE') page = `${ORIGIN}/promo/${one(PROMO_CODES).toLowerCase()}`;
      else if (name === 'SEARCH') page = `${ORIGIN}/search`;
      else if (name === 'ITEM_DETAIL' || name === 'ADD_TO_CART') {
        product = popular(products);
        page = `${ORIGIN}/product/${product.id}`;
      }
      push(name, own(name, product, who));
    }
    if (books) {
      page = `${ORIGIN}/checkout`;
      push('BOOKING', booking(product, who));
    }
    return events;
  }

  function own(name: string, product: Product, who: Visitor): Partial<SentEvent> {
    const item = {
      product_id: product.id,
      master_category: product.category,
      sub_category: product.subCategory,
    };
    if (name === 'SEARCH') return { search_keywords: popular(SEARCHES) };
    if (name === 'ITEM_DETAIL') return { ...item, title: product.name };
    if (name === 'ADD_TO_CART')
      return { ...item, quantity: whole(1, 3), item_price: product.price, currency: 'USD' };
    if (name === 'ADD_PROMO')
      return { promo_code: one(PROMO_CODES), promo_amount: String(whole(1, 10)), currency: 'USD' };
    if (name === 'CLICK') return { properties: { target: who.mobile ? 'tile' : 'menu' } };
    if (name === 'SCROLL') return { properties: { depth: whole(1, 10) * 10 } };
    return {};
  }

  function booking(product: Product, who: Visitor): Partial<SentEvent> {
    const quantity = whole(1, 3);
    return {
      booking_id: id(0, 60),
      payment_method: weighted(METHODS)[0],
      payment_status: random() < 0.9562 ? 'Success' : 'Failed',
      product_id: product.id,
      master_category: product.category,
      sub_category: product.subCategory,
      quantity,
      item_price: product.price,
      value: (Number(product.price) * quantity).toFixed(2),
      currency: 'USD',
      gender: who.gender,
      birthdate: who.birthdate,
    };
  }

  return {
    visit,
    nextEvents(nowMs, count) {
      const events: SentEvent[] = [];
      for (let i = 0; i < count; i++) {
        if (open.length < visitsAtOnce) open.push({ events: visit(nowMs), next: 0 });
        const slot = whole(0, open.length - 1);
        const running = open[slot] ?? { events: visit(nowMs), next: 0 };
        const event = running.events[running.next++];
        if (event !== undefined)
          events.push({ ...event, event_id: id(nowMs, 80), event_time: nowMs });
        if (running.next >= running.events.length) open[slot] = { events: visit(nowMs), next: 0 };
      }
      return events;
    },
    *history(fromMs, toMs, events) {
      const hours = Math.max(1, Math.ceil((toMs - fromMs) / 3_600_000));
      const visits = events / 14.3;
      const weights = Array.from({ length: hours }, (_, i) => {
        const date = new Date(fromMs + i * 3_600_000);
        // Each month a tenth more than the month before, so that a long range shows a trend.
        const growth = 1.1 ** ((i * 3_600_000) / (30 * DAY_MS));
        return (HOURS[date.getUTCHours()] ?? 4) * (WEEKDAYS[date.getUTCDay()] ?? 1) * growth;
      });
      const total = sum(weights);
      let owed = 0;
      for (const [i, weight] of weights.entries()) {
        for (owed += (visits * weight) / total; owed >= 1; owed--) {
          const startMs = fromMs + i * 3_600_000 + whole(0, 3_599_999);
          for (const event of visit(startMs)) if (Number(event.event_time) < toMs) yield event;
        }
      }
    },
  };
}

/** A small seeded generator of numbers in [0, 1) (mulberry32 by Tommy Ettinger, public domain). */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Which share of `shares` the number `at` falls into; -1 beyond them all. */
function pick(shares: readonly number[], at: number): number {
  let end = 0;
  return shares.findIndex((share) => {
    end += share;
    return at < end;
  });
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function two(number: number): string {
  return String(number).padStart(2, '0');
}
