/**
 * The shape of the synthetic shop: what it sells, to whom, and how often what happens. The shares
 * of events, lengths of visits and payments are those published for a real fashion shop; every
 * name is made up.
 */

/** Category, its share of products, sub-categories, lowest and highest price. */
export const CATEGORIES = [
  ['Apparel', 0.48, ['Topwear', 'Bottomwear', 'Innerwear', 'Dress', 'Loungewear'], 9, 89],
  ['Accessories', 0.26, ['Bags', 'Watches', 'Belts', 'Eyewear', 'Wallets', 'Socks'], 5, 149],
  ['Footwear', 0.19, ['Shoes', 'Sandals', 'Flip Flops'], 15, 139],
  ['Personal Care', 0.05, ['Fragrance', 'Lips', 'Nails', 'Makeup'], 4, 59],
  ['Free Items', 0.01, ['Free Gifts'], 0, 1],
  ['Sporting Goods', 0.01, ['Sports Equipment'], 12, 99],
] as const;
export const ADJECTIVES = [
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

/** Names after the first event (a HOMEPAGE), with the shares that give the mix of the whole. */
export const NEXT_EVENTS = [
  ['CLICK', 19.5],
  ['HOMEPAGE', 12.4],
  ['ADD_TO_CART', 15.1],
  ['SCROLL', 13],
  ['ITEM_DETAIL', 10.1],
  ['SEARCH', 9.1],
  ['PROMO_PAGE', 4.7],
  ['ADD_PROMO', 2.5],
] as const;
/** Of visits. */
export const BOOKING_SHARE = 0.95;
export const SUCCESS_SHARE = 0.9562;
export const MOBILE_SHARE = 0.905;

/** Number of events of a visit and share of visits, for the short ones; more is the tail. */
export const TAIL = 'tail';
export const LENGTHS = [
  [2, 4.8],
  [3, 8.2],
  [4, 90.3],
  [5, 83.3],
  [6, 68.3],
  [7, 59.1],
  [8, 52.7],
  [9, 47.6],
  [10, 43.2],
  [TAIL, 437.7],
] as const;
/** The tail falls off so that the mean of all visits is 14.3 events. */
export const TAIL_MEAN_EVENTS = 12.2;
export const LENGTH_EVENTS_MAX = 650;
export const MEAN_EVENTS = 14.3;

export const METHODS = [
  ['Credit Card', 34],
  ['Gopay', 22],
  ['OVO', 18],
  ['Debit Card', 15],
  ['LinkAja', 11],
] as const;
/** Referrer, campaign of the address, share. */
export const SOURCES = [
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
/** Type, system, browser, screen, share. */
export const MOBILE_DEVICES = [
  ['mobile', 'Android', 'Chrome', '412x915', 62],
  ['mobile', 'iOS', 'Safari', '390x844', 33],
  ['tablet', 'iPadOS', 'Safari', '820x1180', 5],
] as const;
export const WEB_DEVICES = [
  ['desktop', 'Windows', 'Chrome', '1920x1080', 55],
  ['desktop', 'macOS', 'Safari', '1512x982', 25],
  ['desktop', 'Windows', 'Microsoft Edge', '1536x864', 14],
  ['desktop', 'Linux', 'Firefox', '1920x1080', 6],
] as const;
export const LANGUAGES = [
  ['id-ID', 62],
  ['en-US', 24],
  ['en-GB', 8],
  ['de-DE', 6],
] as const;
export const SEARCHES = [
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
export const PROMO_CODES = ['AUTUMN10', 'WELCOME', 'FREESHIP', 'WEEKEND5'];

/** Visits that begin in each hour of the day (UTC), of 100. */
export const HOURS = [
  3.2, 2.6, 2.4, 2.5, 3.0, 3.6, 4.2, 4.6, 4.8, 4.9, 5.0, 5.2, 5.4, 5.3, 5.1, 4.9, 4.8, 4.6, 4.4,
  4.3, 4.1, 3.9, 3.7, 3.5,
];
/** Sunday first. */
export const WEEKDAYS = [1.12, 0.94, 0.92, 0.95, 0.98, 1.04, 1.15];
