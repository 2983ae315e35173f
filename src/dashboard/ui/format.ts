/** Numbers, money and times as people read them, by the browser's language. */

const whole = new Intl.NumberFormat();
const short = new Intl.NumberFormat(undefined, { notation: 'compact', maximumFractionDigits: 1 });
const oneDigit = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const percent = new Intl.NumberFormat(undefined, { style: 'percent', maximumFractionDigits: 1 });

export const formatNumber = (value: number): string => whole.format(value);
/** 12,345 as it is; 1,234,567 as 1.2M. */
export const formatShort = (value: number): string =>
  Math.abs(value) < 100_000 ? whole.format(value) : short.format(value);
export const formatRate = (value: number): string => oneDigit.format(value);
export const formatPercent = (value: number): string => percent.format(value);
export const formatMoney = (text: string): string => formatShort(Math.round(Number(text)));

export const formatClock = (ms: number): string =>
  new Date(ms).toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' });
export const formatSeconds = (ms: number): string =>
  new Date(ms).toLocaleTimeString(undefined, {
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  });

/** A bucket's start (`yyyy-mm-dd hh:mm:ss` in the page's zone) with the detail that a range needs. */
export function formatBucket(time: string, spanMs: number): string {
  const date = new Date(time.replace(' ', 'T'));
  if (spanMs <= 36 * 3_600_000) return formatClock(date.getTime());
  if (spanMs <= 8 * 86_400_000) {
    return date.toLocaleString(undefined, { weekday: 'short', day: 'numeric', hour: '2-digit' });
  }
  if (spanMs <= 400 * 86_400_000) {
    return date.toLocaleDateString(undefined, { day: 'numeric', month: 'short' });
  }
  return date.toLocaleDateString(undefined, { month: 'short', year: 'numeric' });
}

/** Monday is 1. */
export function weekdayName(weekday: number, width: 'short' | 'long'): string {
  // 2024-01-01 was a Monday.
  return new Date(2024, 0, weekday).toLocaleDateString(undefined, { weekday: width });
}
