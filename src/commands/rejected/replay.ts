/**
 * `rejected replay`: refused events are mended, checked, and sent again as new events with their
 * old ids. The refused rows stay: they say what happened.
 */
import type { Rejection } from '../../event/rejection.ts';
import type { Store } from '../../store/store.ts';
import { type Surroundings, write } from '../command.ts';
import { type Mending, mend } from './mend.ts';
import { readMended } from './mended-file.ts';
import {
  countRefused,
  findReplayed,
  type Refused,
  readRefused,
  type Selection,
} from './refused.ts';
import { createSender, type Sender } from './send.ts';

export interface ReplayOptions {
  selection: Selection;
  mending: Mending;
  /** Lines to take instead of what the store has. */
  file: string | undefined;
  dryRun: boolean;
}

/** What became of what was looked at so far. */
interface Outcome {
  seen: number;
  /** In `events` already. */
  before: number;
  sent: number;
  refused: Map<string, number>;
  lost: Map<string, number>;
}

/** @returns the exit code: 1 when there was something and nothing of it could be sent. */
export async function replay(
  store: Store,
  options: ReplayOptions,
  { config, clock, stdout, stderr }: Surroundings,
): Promise<number> {
  const { selection, file, dryRun } = options;
  const sender = createSender(config, clock);
  const outcome: Outcome = { seen: 0, before: 0, sent: 0, refused: new Map(), lost: new Map() };
  const totals = file === undefined ? await countRefused(store, selection) : [];
  const all = totals.reduce((count, total) => count + total.open + total.replayed, 0);
  // What is refused while it runs is for another time: it would never come to an end.
  const newestMs = totals.reduce((ms, total) => Math.max(ms, total.newest_ms), 0);
  const pages =
    file === undefined
      ? readRefused(store, { ...selection, toMs: newestMs + 1 }, 'oldest first')
      : readMended(file, selection);
  try {
    for await (const rows of pages) {
      await replayPage(store, rows, options, sender, outcome);
      const of = all === 0 ? '' : ` of ${number(all)}`;
      if (stderr.isTTY) await write(stderr, `\r${number(outcome.seen)}${of} looked at`);
    }
  } finally {
    // Also when it ends early: what was sent is sent.
    if (stderr.isTTY) await write(stderr, '\r\x1b[K');
    await write(stdout, report(outcome, dryRun));
  }
  const open = outcome.seen - outcome.before;
  return open > 0 && outcome.sent === 0 ? 1 : 0;
}

async function replayPage(
  store: Store,
  rows: readonly Refused[],
  { mending, dryRun }: ReplayOptions,
  sender: Sender,
  outcome: Outcome,
): Promise<void> {
  const replayed = await findReplayed(store, rows);
  outcome.seen += rows.length;
  outcome.before += replayed.size;
  const ready: { key: string; json: string }[] = [];
  for (const row of rows) {
    if (replayed.has(row)) continue;
    const mended = mend(row, mending);
    const key = sender.keyOf(row.project_id);
    if ('lost' in mended) count(outcome.lost, mended.lost);
    else if ('refused' in mended) count(outcome.refused, because(mended.refused));
    else if (key === undefined)
      count(outcome.lost, `CLICKSTREAM_KEYS has no write key for the project "${row.project_id}"`);
    else ready.push({ key, json: mended.json });
  }
  if (dryRun) {
    outcome.sent += ready.length;
    return;
  }
  for (const [key, events] of Map.groupBy(ready, ({ key }) => key)) {
    const texts = events.map(({ json }) => json);
    await sender.send(key, texts, ({ accepted, rejected }) => {
      outcome.sent += accepted;
      for (const refused of rejected) count(outcome.refused, because(refused));
    });
  }
}

function because({ reason, field }: Rejection): string {
  return field === '' ? reason : `${reason} ${field}`;
}

function count(counts: Map<string, number>, what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1);
}

function report(outcome: Outcome, dryRun: boolean): string {
  const { seen, before, sent, refused, lost } = outcome;
  const open = seen - before;
  const lines = [
    `${number(sent)} of ${number(open)} ${dryRun ? 'would be replayed; nothing was sent' : 'replayed'}`,
  ];
  if (before > 0) lines.push(`${number(before)} are in events already`);
  for (const [title, counts] of [
    [dryRun ? 'would still be refused' : 'still refused', refused],
    ['cannot be replayed', lost],
  ] as const) {
    if (counts.size === 0) continue;
    const reasons = [...counts].sort(([, a], [, b]) => b - a);
    lines.push(`${number(reasons.reduce((all, [, one]) => all + one, 0))} ${title}`);
    for (const [what, times] of reasons) lines.push(`  ${number(times)}  ${what}`);
  }
  return `${lines.join('\n')}\n`;
}

function number(value: number): string {
  return value.toLocaleString('en');
}
