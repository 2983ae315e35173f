/**
 * Reads one field: an unknown JSON value in, the canonical value or the reason for refusing out.
 * One reader for each kind of `FIELDS`. Exact rather than generous: what could be read in two ways
 * is refused, so that nobody finds out from a chart that something was guessed.
 */
import type { Kind } from './event.ts';
import type { Reason } from './rejection.ts';

/** A refusal; an object, so that it cannot be mistaken for a text. */
interface Refused {
  reason: Reason;
}

/** `escaped`: the text may hold what only a `\u` escape can bring (NUL, half of a pair). */
export type Read = (value: unknown, escaped: boolean) => string | number | Refused;

const WRONG_TYPE: Refused = { reason: 'wrong_type' };
const BAD_FORMAT: Refused = { reason: 'bad_format' };
const BAD_TEXT: Refused = { reason: 'bad_text' };
const TOO_LONG: Refused = { reason: 'too_long' };
const OUT_OF_RANGE: Refused = { reason: 'out_of_range' };

/** Times and dates that the store can hold. */
const YEAR_MIN = 1900;
const YEAR_MAX = 2299;
export const TIME_MS_MIN = Date.UTC(YEAR_MIN, 0, 1);
export const TIME_MS_MAX = Date.UTC(YEAR_MAX + 1, 0, 1) - 1;
/** Longest text that is read as a number or a time. */
const NUMBER_CHARS_MAX = 64;

/** The reader for values of this kind. Items and properties are read by parse.ts. */
export function readerOf(kind: Exclude<Kind, { is: 'items' | 'properties' }>): Read {
  switch (kind.is) {
    case 'text':
      return (value, escaped) => readText(value, kind.charsMax, escaped);
    case 'integer':
      return (value) => readInteger(value, kind.min, kind.max);
    case 'money':
      return readMoney;
    case 'time':
      return readTime;
    case 'date':
      return readDate;
  }
}

/** Holds neither NUL nor half of a surrogate pair. */
export function isCleanText(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed();
}

function readText(value: unknown, charsMax: number, escaped: boolean) {
  let text: string;
  if (typeof value === 'string') text = value;
  else if (typeof value === 'number') {
    // A whole number above 2^53 has already lost digits: an id must not change on the way.
    if (!Number.isSafeInteger(value) && Number.isInteger(value)) return OUT_OF_RANGE;
    if (!Number.isFinite(value)) return OUT_OF_RANGE;
    text = String(value);
  } else return WRONG_TYPE;
  if (text.length > charsMax) return TOO_LONG;
  return escaped && !isCleanText(text) ? BAD_TEXT : text;
}

function readInteger(value: unknown, min: number, max: number) {
  let number: number;
  if (typeof value === 'number') {
    if (Number.isFinite(value) && !Number.isInteger(value)) return WRONG_TYPE;
    number = value;
  } else if (typeof value === 'string') {
    if (value.length > NUMBER_CHARS_MAX) return TOO_LONG;
    // `.0`: tables with empty cells write whole numbers so.
    if (!/^[+-]?\d+(\.0+)?$/.test(value)) return BAD_FORMAT;
    number = Number(value);
  } else return WRONG_TYPE;
  return number >= min && number <= max ? number + 0 : OUT_OF_RANGE;
}

const PLAIN_MONEY = /^-?(?:0|[1-9]\d{0,13})(?:\.\d{1,4})?$/;
const ANY_MONEY = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,4}))?$/;
const PLACES = 4;
/** One above the largest amount, in units of the last place: Decimal(18, 4). */
const MONEY_END = 10n ** 18n;

function readMoney(value: unknown) {
  let text: string;
  if (typeof value === 'string') text = value;
  else if (typeof value === 'number') {
    if (!Number.isFinite(value)) return OUT_OF_RANGE;
    text = String(value);
  } else return WRONG_TYPE;
  if (text.length > NUMBER_CHARS_MAX) return TOO_LONG;
  if (PLAIN_MONEY.test(text)) return withoutTrailingZeros(text);

  const [, sign, whole = '', fraction = '', exponent = '0'] = ANY_MONEY.exec(text) ?? [];
  const digits = whole + fraction;
  if (digits === '') return BAD_FORMAT;
  const shift = Number(exponent) - fraction.length + PLACES;
  let units = BigInt(digits);
  if (units === 0n || shift < -digits.length) return '0';
  if (shift > NUMBER_CHARS_MAX) return OUT_OF_RANGE;
  if (shift >= 0) units *= 10n ** BigInt(shift);
  else {
    const unit = 10n ** BigInt(-shift);
    units = (units + unit / 2n) / unit;
  }
  if (units >= MONEY_END) return OUT_OF_RANGE;
  const padded = String(units).padStart(PLACES + 1, '0');
  const amount = `${padded.slice(0, -PLACES)}.${padded.slice(-PLACES)}`;
  return withoutTrailingZeros(sign === '-' ? `-${amount}` : amount);
}

function withoutTrailingZeros(amount: string): string {
  if (!amount.includes('.')) return amount === '-0' ? '0' : amount;
  let end = amount.length;
  while (amount[end - 1] === '0') end--;
  if (amount[end - 1] === '.') end--;
  const short = amount.slice(0, end);
  return short === '-0' ? '0' : short;
}

const TIME =
  /^(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?(?:[Zz]|([+-])(\d\d):?(\d\d))?)?$/;

function readTime(value: unknown) {
  if (typeof value === 'number') return timeInRange(value);
  if (typeof value !== 'string') return WRONG_TYPE;
  if (value.length > NUMBER_CHARS_MAX) return TOO_LONG;
  const parts = TIME.exec(value);
  if (parts === null) return /^-?\d+$/.test(value) ? timeInRange(Number(value)) : BAD_FORMAT;
  const [, year, month, day, hour = 0, minute = 0, second = 0, fraction = '', sign] = parts;
  const day0 = dayMs(Number(year), Number(month), Number(day));
  if (typeof day0 === 'object') return day0;
  if (+hour > 23 || +minute > 59 || +second > 59) return BAD_FORMAT;
  const zoneMinutes = sign === undefined ? 0 : Number(parts[9]) * 60 + Number(parts[10]);
  if (Number(parts[10] ?? 0) > 59 || zoneMinutes > 14 * 60) return BAD_FORMAT;
  const minutes = +hour * 60 + +minute + (sign === '-' ? zoneMinutes : -zoneMinutes);
  return timeInRange(
    day0 + minutes * 60_000 + +second * 1000 + Number(fraction.padEnd(3, '0').slice(0, 3)),
  );
}

function timeInRange(ms: number) {
  if (!(ms >= TIME_MS_MIN && ms <= TIME_MS_MAX)) return OUT_OF_RANGE;
  return Math.floor(ms) + 0;
}

function readDate(value: unknown) {
  if (typeof value !== 'string') return WRONG_TYPE;
  if (value.length > NUMBER_CHARS_MAX) return TOO_LONG;
  const parts = /^(\d{4})-(\d\d)-(\d\d)$/.exec(value);
  if (parts === null) return BAD_FORMAT;
  const ms = dayMs(Number(parts[1]), Number(parts[2]), Number(parts[3]));
  return typeof ms === 'object' ? ms : value;
}

/** Start of this day in UTC; refused when the calendar does not have it. */
function dayMs(year: number, month: number, day: number) {
  if (month < 1 || month > 12 || day < 1 || day > 31) return BAD_FORMAT;
  if (year < YEAR_MIN || year > YEAR_MAX) return OUT_OF_RANGE;
  const ms = Date.UTC(year, month - 1, day);
  return day > 28 && new Date(ms).getUTCDate() !== day ? BAD_FORMAT : ms;
}
