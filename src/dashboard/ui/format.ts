/** Numbers, money and times as people read them, by the browser's language and zone. */

const whole = new Intl.NumberFormat();
const short = new Intl.NumberFormat(undefined, { notation: 'compact', maximumFractionDigits: 2 });
const rate = new Intl.NumberFormat(undefined, {
  minimumFractionDigits: 1,
  maximumFractionDigits: 1,
});
const percent = new Intl.NumberFormat(undefined, {
  style: 'percent',
  minimumFractionDigits: 1,
  maximumFractionDigits: 1,
});
const change = new Intl.NumberFormat(undefined, {
  style: 'percent',
  minimumFractionDigits: 1,
  maximumFractionDigits: 1,
  signDisplay: 'exceptZero',
});

export const formatNumber = (value: number): string => whole.format(value);
/** 123,456 as it is; from a million on 1.23M. */
export const formatShort = (value: number): string =>
  Math.abs(value) < 1_000_000 ? whole.format(value) : short.format(value);
export const formatRate = (value: number): string => rate.format(value);
export const formatPercent = (value: number): string => percent.format(value);
/** +4.2 %, against what it was. */
export const formatChange = (value: number): string => change.format(value);

/** 3.4 MB: of a thousand each, as disks are sold. */
export function formatBytes(bytes: number): string {
  const unit =
    (['byte', 'kilobyte', 'megabyte', 'gigabyte'] as const)[powerOf(bytes)] ?? 'gigabyte';
  const value = bytes / 1_000 ** powerOf(bytes);
  const maximumFractionDigits = value < 10 && unit !== 'byte' ? 1 : 0;
  return value.toLocaleString(undefined, {
    ...{ style: 'unit', unit, unitDisplay: 'short', maximumFractionDigits },
  });
}

const powerOf = (bytes: number): number =>
  Math.min(3, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)));

/** 40 s, 12 min, 3 h: about as long. */
export function formatAge(ms: number): string {
  if (ms < 120_000) return `${Math.round(ms / 1_000)} s`;
  return ms < 2 * HOUR_MS ? `${Math.round(ms / 60_000)} min` : `${Math.round(ms / HOUR_MS)} h`;
}

export const formatSeconds = (ms: number): string =>
  new Date(ms).toLocaleTimeString(undefined, {
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  });

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/**
 * Starts of buckets as the API writes them, in the page's zone, as milliseconds since 1970. The
 * hour that comes twice when clocks are set back is written the same both times; the second follows
 * the first.
 */
export function bucketTimes(times: readonly string[]): number[] {
  const starts: number[] = [];
  for (const time of times) {
    const start = Date.parse(time.replace(' ', 'T'));
    const [before = 0, last = Number.NEGATIVE_INFINITY] = starts.slice(-2);
    starts.push(start > last ? start : last + (last - before));
  }
  return starts;
}

/** The length of a bucket in words; a day with a change of the clock is a day. */
export function bucketWords(lengthMs: number): string {
  if (lengthMs < 2 * 60_000) return 'minute';
  if (lengthMs < HOUR_MS / 2) return '15 minutes';
  if (lengthMs < DAY_MS / 2) return 'hour';
  if (lengthMs < 4 * DAY_MS) return 'day';
  return lengthMs < 20 * DAY_MS ? 'week' : 'month';
}

/** A mark of a time axis: the hour, but the day at midnight and the year at its beginning. */
export function formatTick(tick: Date, spanMs: number): string {
  const isMidnight = tick.getHours() === 0 && tick.getMinutes() === 0;
  if (!isMidnight) {
    return tick.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' });
  }
  if (spanMs < 10 * DAY_MS)
    return tick.toLocaleDateString(undefined, { weekday: 'short', day: 'numeric' });
  if (spanMs < 120 * DAY_MS)
    return tick.toLocaleDateString(undefined, { day: 'numeric', month: 'short' });
  if (tick.getMonth() === 0) return String(tick.getFullYear());
  return tick.toLocaleDateString(undefined, { month: 'short' });
}

/** When a bucket began, in full. */
export function formatMoment(ms: number, lengthMs: number): string {
  const day = { weekday: 'short', day: 'numeric', month: 'short' } as const;
  if (lengthMs < DAY_MS / 2) {
    return new Date(ms).toLocaleString(undefined, { ...day, hour: '2-digit', minute: '2-digit' });
  }
  return new Date(ms).toLocaleDateString(undefined, { ...day, year: 'numeric' });
}

/** Monday is 1. */
export function weekdayName(weekday: number, width: 'short' | 'long'): string {
  // 2024-01-01 was a Monday.
  return new Date(2024, 0, weekday).toLocaleDateString(undefined, { weekday: width });
}
