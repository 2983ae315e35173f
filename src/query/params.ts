/**
 * What a question is asked with: project, time, zone, filters. Checked here, bound in the SQL.
 * Only names from the lists below ever become part of a statement; every value is a parameter.
 */
import { AppError } from '../base/errors.ts';
import type { Value } from '../store/store.ts';

/** Columns that can be filtered by. */
export const FILTER_FIELDS = [
  'event_name',
  'session_id',
  'visitor_id',
  'customer_id',
  'host',
  'path',
  'title',
  'referrer_host',
  'channel',
  'utm_source',
  'utm_medium',
  'utm_campaign',
  'utm_term',
  'utm_content',
  'device_type',
  'os',
  'browser',
  'language',
  'screen',
  'country',
  'traffic_source',
  'search_keywords',
  'product_id',
  'master_category',
  'sub_category',
  'promo_code',
  'currency',
  'payment_method',
  'payment_status',
  'gender',
] as const;
const OPERATORS = ['is', 'is_not', 'contains'] as const;
const BOTS = ['out', 'in', 'only'] as const;
const FORMATS = ['json', 'csv'];

/** The intervals of the questions over time, as ClickHouse writes them, and their length. */
const INTERVALS = {
  minute: ['INTERVAL 1 MINUTE', 60_000],
  quarter_hour: ['INTERVAL 15 MINUTE', 900_000],
  hour: ['INTERVAL 1 HOUR', 3_600_000],
  day: ['INTERVAL 1 DAY', 86_400_000],
  week: ['INTERVAL 1 WEEK', 604_800_000],
  month: ['INTERVAL 1 MONTH', 2_592_000_000],
} as const;
type Interval = keyof typeof INTERVALS;

export const RANGES = {
  '15m': 900_000,
  '1h': 3_600_000,
  '24h': 86_400_000,
  '7d': 604_800_000,
  '30d': 2_592_000_000,
  '90d': 7_776_000_000,
  '12mo': 31_536_000_000,
} as const;

const LIMIT_MAX = 1_000;
const FILTERS_MAX = 20;
const FILTER_CHARS_MAX = 1_024;
/** More buckets than this are refused: nobody can see them, and the answer has no other bound. */
const BUCKETS_MAX = 5_000;
const DEFAULT_RANGE = '24h';
/** Nothing is older: the collector takes no event from before. */
export const FIRST_MS = Date.UTC(2000, 0, 1);

interface Filter {
  field: (typeof FILTER_FIELDS)[number];
  operator: (typeof OPERATORS)[number];
  values: string[];
}

export interface Asked {
  project: string;
  /** Milliseconds since 1970; `fromMs` is undefined for `range=all`: from the first event on. */
  fromMs: number | undefined;
  toMs: number;
  zone: string;
  interval: Interval | undefined;
  limit: number;
  bots: (typeof BOTS)[number];
  filters: Filter[];
}

const KNOWN = ['range', 'from', 'to', 'zone', 'interval', 'limit', 'bots', 'f', 'format'];

function refuse(field: string, value: string, allows: string): never {
  throw new AppError('bad_request', `${field} is "${value}"; it takes ${allows}.`, { field });
}

/** @throws AppError `bad_request` naming the parameter and what it takes. */
export function readParams(project: string, query: URLSearchParams, nowMs: number): Asked {
  for (const name of query.keys()) {
    if (!KNOWN.includes(name)) {
      throw new AppError(
        'bad_request',
        `"${name}" is not a parameter; there are ${KNOWN.join(', ')}.`,
        { field: name },
      );
    }
  }
  // The store reads a text up to its first NUL.
  for (const [name, value] of [['project', project], ...query] as const) {
    if (value.includes('\0')) refuse(name, value.slice(0, 80), 'text without NUL');
  }
  if (project.length > 64) refuse('project', project.slice(0, 80), 'up to 64 characters');
  const format = query.get('format') ?? 'json';
  if (!FORMATS.includes(format)) refuse('format', format, FORMATS.join(', '));
  const toMs = query.has('to') ? readTime('to', query.get('to') ?? '') : nowMs;
  const fromMs = readFrom(query, toMs);
  if (fromMs !== undefined && fromMs >= toMs)
    refuse('from', query.get('from') ?? '', 'a time before `to`');
  const interval = query.get('interval') ?? undefined;
  if (interval !== undefined && !isInterval(interval))
    refuse('interval', interval, Object.keys(INTERVALS).join(', '));
  const limit = query.get('limit') ?? '10';
  if (!/^\d{1,4}$/.test(limit) || Number(limit) < 1 || Number(limit) > LIMIT_MAX) {
    refuse('limit', limit, `a whole number from 1 to ${LIMIT_MAX}`);
  }
  const bots = BOTS.find((known) => known === (query.get('bots') ?? 'out'));
  if (bots === undefined) refuse('bots', query.get('bots') ?? '', BOTS.join(', '));
  return {
    project,
    fromMs,
    toMs,
    zone: readZone(query.get('zone') ?? 'UTC'),
    interval,
    limit: Number(limit),
    bots,
    filters: readFilters(query.getAll('f')),
  };
}

function readFrom(query: URLSearchParams, toMs: number): number | undefined {
  const from = query.get('from');
  if (from !== null) return readTime('from', from);
  const range = query.get('range') ?? DEFAULT_RANGE;
  if (range === 'all') return undefined;
  if (!Object.hasOwn(RANGES, range))
    refuse('range', range, `${Object.keys(RANGES).join(', ')} or all`);
  return toMs - RANGES[range as keyof typeof RANGES];
}

/** Without a zone a time is in UTC, as everywhere here: never in that of the machine. */
const TIME = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)(Z|[+-]\d\d:\d\d)?)?$/;

function readTime(field: string, text: string): number {
  const [, day, time = '00:00', zone = 'Z'] = TIME.exec(text) ?? [];
  const ms = /^\d{1,15}$/.test(text) ? Number(text) : Date.parse(`${day}T${time}${zone}`);
  if (Number.isNaN(ms) || ms < FIRST_MS || ms > Date.UTC(2200, 0, 1)) {
    refuse(field, text, 'ISO 8601 or milliseconds since 1970, from the year 2000 on');
  }
  return ms;
}

function isInterval(text: string): text is Interval {
  return Object.hasOwn(INTERVALS, text);
}

/** The zone's own name: the store minds capitals. */
function readZone(zone: string): string {
  try {
    if (/^[A-Za-z_]+(\/[A-Za-z0-9_+-]+)*$/.test(zone))
      return new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return refuse('zone', zone, 'an IANA time zone, as in Europe/Berlin');
}

/** `field:operator:value`, repeated; the same field and operator again means "any of". */
function readFilters(texts: string[]): Filter[] {
  if (texts.length > FILTERS_MAX) refuse('f', `${texts.length} filters`, `up to ${FILTERS_MAX}`);
  const filters = new Map<string, Filter>();
  for (const text of texts) {
    const [name = '', verb = '', ...rest] = text.split(':');
    const field = FILTER_FIELDS.find((known) => known === name);
    const operator = OPERATORS.find((known) => known === verb);
    const value = rest.join(':');
    if (
      field === undefined ||
      operator === undefined ||
      rest.length === 0 ||
      value.length > FILTER_CHARS_MAX
    ) {
      refuse(
        'f',
        text.slice(0, 80),
        `field:operator:value with an operator of ${OPERATORS.join(', ')} and a field of ${FILTER_FIELDS.join(', ')}`,
      );
    }
    const key = `${field}:${operator}`;
    const filter = filters.get(key) ?? { field, operator, values: [] };
    filter.values.push(value);
    filters.set(key, filter);
  }
  return [...filters.values()];
}

export interface Bound {
  /** Conditions of project, bots and filters, without time. */
  scope: string;
  params: Record<string, Value>;
}

/** The conditions of `asked` as SQL of listed names, and their values as parameters. */
export function bindScope({
  project,
  bots,
  filters,
}: Pick<Asked, 'project' | 'bots' | 'filters'>): Bound {
  const params: Record<string, Value> = { project };
  const conditions = ['events.project_id = {project:String}'];
  if (bots === 'out') conditions.push("events.bot = ''");
  if (bots === 'only') conditions.push("events.bot != ''");
  for (const [i, { field, operator, values }] of filters.entries()) {
    params[`f${i}`] = values;
    const bound = `{f${i}:Array(String)}`;
    if (operator === 'is') conditions.push(`events.${field} IN ${bound}`);
    else if (operator === 'is_not') conditions.push(`events.${field} NOT IN ${bound}`);
    else conditions.push(`multiSearchAnyCaseInsensitiveUTF8(events.${field}, ${bound})`);
  }
  return { scope: conditions.join('\n    AND '), params };
}

/** The interval asked for, or one that gives a readable number of points. */
export function intervalOf(asked: Asked, fromMs: number): string {
  const lengthMs = asked.toMs - fromMs;
  const hour = 3_600_000;
  let interval: Interval = 'month';
  if (lengthMs <= 3 * hour) interval = 'minute';
  else if (lengthMs <= 36 * hour) interval = 'quarter_hour';
  else if (lengthMs <= 8 * 24 * hour) interval = 'hour';
  else if (lengthMs <= 400 * 24 * hour) interval = 'day';
  const [sql, bucketMs] = INTERVALS[asked.interval ?? interval];
  if (lengthMs / bucketMs > BUCKETS_MAX) {
    refuse(
      'interval',
      asked.interval ?? '',
      `one that gives at most ${BUCKETS_MAX} points for this range`,
    );
  }
  return sql;
}
