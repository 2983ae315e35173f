/**
 * `rejected list`: the newest refused events as a table, or as lines to be edited and given back.
 */
import type { Store } from '../../store/store.ts';
import { type Surroundings, write } from '../command.ts';
import { readJson } from './mend.ts';
import {
  countRefused,
  findReplayed,
  type Refused,
  readRefused,
  type Selection,
  type Total,
} from './refused.ts';

export interface ListOptions {
  selection: Selection;
  limit: number;
  json: boolean;
  /** Those that were replayed as well. */
  all: boolean;
}

/** Of a payload on what is no terminal, and at least on one. */
const PAYLOAD_CHARS = 60;

export async function list(
  store: Store,
  { selection, limit, json, all }: ListOptions,
  { stdout, stderr }: Pick<Surroundings, 'stdout' | 'stderr'>,
): Promise<void> {
  const totals = await countRefused(store, selection);
  const wanted = sum(totals.map((total) => total.open + (all ? total.replayed : 0)));
  let left = Math.min(limit, wanted);
  let shown = 0;
  if (left > 0) {
    for await (const rows of readRefused(store, selection, 'newest first')) {
      const replayed = await findReplayed(store, rows);
      const page = rows.filter((row) => all || !replayed.has(row)).slice(0, left);
      const isFirst = shown === 0;
      shown += page.length;
      left -= page.length;
      if (json) for (const row of page) await write(stdout, line(row, replayed.has(row)));
      else if (page.length > 0) await write(stdout, table(page, replayed, isFirst, stdout.columns));
      if (left === 0) break;
    }
  }
  // With --json the answer is lines and nothing else.
  await write(json ? stderr : stdout, summary(totals, shown, wanted));
}

/** A payload that is an object stands there as one: that is easier to edit than a text in a text. */
function line(row: Refused, isReplayed: boolean): string {
  const payload = readJson(row.payload);
  const isText = typeof payload !== 'object' || payload === null;
  return `${JSON.stringify({ ...row, payload: isText ? row.payload : payload, replayed: isReplayed })}\n`;
}

function table(
  rows: readonly Refused[],
  replayed: ReadonlySet<Refused>,
  withHead: boolean,
  columns: number | undefined,
): string {
  const head = ['received (UTC)', 'project', 'reason', 'field', 'event_id', 'payload'];
  const cells = rows.map((row) => [
    row.received_at,
    row.project_id,
    replayed.has(row) ? `${row.reason} (replayed)` : row.reason,
    row.field || '–',
    row.event_id,
    row.payload,
  ]);
  const lines = (withHead ? [head, ...cells] : cells).map((line) => line.map(printable));
  const widths = head
    .slice(0, -1)
    .map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const used = sum(widths) + 2 * widths.length;
  const payloadChars = Math.max(PAYLOAD_CHARS, (columns ?? 0) - used);
  return lines
    .map((line) => {
      const start = widths.map((width, column) => (line[column] ?? '').padEnd(width)).join('  ');
      const payload = line.at(-1) ?? '';
      const isCut = payload.length > payloadChars;
      return `${start}  ${isCut ? `${payload.slice(0, payloadChars - 1)}…` : payload}\n`;
    })
    .join('');
}

/** Strangers wrote it: what steers a terminal is shown, not obeyed. */
function printable(text: string): string {
  return text.replace(/\p{C}/gu, '\ufffd');
}

function summary(totals: readonly Total[], shown: number, wanted: number): string {
  const open = totals.filter((total) => total.open > 0);
  const byReason = open.map((total) => `${total.reason} ${number(total.open)}`).join(', ');
  const replayed = sum(totals.map((total) => total.replayed));
  return [
    `${number(sum(open.map((total) => total.open)))} open${byReason === '' ? '' : `: ${byReason}`}`,
    `; ${number(replayed)} replayed`,
    shown < wanted ? ` (${number(shown)} shown; --limit shows more)` : '',
    '\n',
  ].join('');
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, one) => all + one, 0);
}

function number(value: number): string {
  return value.toLocaleString('en');
}
