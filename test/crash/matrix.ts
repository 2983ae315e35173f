/**
 * The table of a run: for each thing that was killed how often, what was lost and doubled, and how
 * long the system took to come back. It is printed, and written into docs/delivery.md.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { percentile, type Report, toMarkdown, whole } from '../../bench/report.ts';
import type { FolderResult, Outcome } from './folder.ts';
import { INSTANTS } from './instants.ts';
import { rowOf } from './kill-list.ts';

const PAGE = join(import.meta.dirname, '..', '..', 'docs', 'delivery.md');
const BEGIN = '<!-- crash:begin -->';
const END = '<!-- crash:end -->';

interface Row {
  name: string;
  /** `before 3, half 2, after 4`; empty for kills at any time. */
  moments: string;
  kills: number;
  lost: number;
  doubled: number;
  firstMs: number[];
  caughtUpMs: number[];
}

export function matrixOf(results: readonly FolderResult[]): Row[] {
  const hits = results.flatMap((result) =>
    result.outcomes.filter(({ isHit }) => isHit).map((outcome) => ({ ...outcome, result })),
  );
  const rows = [...Map.groupBy(hits, ({ kill }) => rowOf(kill))].map(([name, inside]): Row => {
    // What is lost in a folder may be the fault of each kill that it went through.
    const folders = [...new Set(inside.map(({ result }) => result.verdict))];
    const known = (field: 'firstMs' | 'caughtUpMs'): number[] =>
      inside.map((outcome) => outcome[field]).filter((ms) => ms !== undefined);
    return {
      name,
      moments: momentsOf(inside),
      kills: inside.length,
      lost: folders.reduce((sum, { lost }) => sum + lost.length, 0),
      doubled: folders.reduce((sum, { doubled }) => sum + doubled.length, 0),
      firstMs: known('firstMs'),
      caughtUpMs: known('caughtUpMs'),
    };
  });
  return rows.toSorted((a, b) => order(a.name) - order(b.name) || (a.name < b.name ? -1 : 1));
}

/** Kills at any time first, then the instants in the order of their list. */
function order(name: string): number {
  return INSTANTS.findIndex(
    (instant) => rowOf({ what: 'instant', instant, nth: 1, afterMs: 0 }) === name,
  );
}

function momentsOf(outcomes: readonly Outcome[]): string {
  const moments = outcomes.map(({ kill }) =>
    kill.what === 'instant' ? (kill.instant.name.split(' ')[0] ?? '') : '',
  );
  return ['before', 'half', 'during', 'after']
    .map((moment) => ({ moment, times: moments.filter((other) => other === moment).length }))
    .filter(({ times }) => times > 0)
    .map(({ moment, times }) => `${moment} ${times}`)
    .join(', ');
}

/** Named instants at which nothing was killed, by phase and target. */
export function missedInstants(results: readonly FolderResult[]): string[] {
  const hit = new Set(
    results.flatMap(({ outcomes }) =>
      outcomes.map(({ kill, isHit }) =>
        isHit && kill.what === 'instant' ? kill.instant : undefined,
      ),
    ),
  );
  return INSTANTS.filter((instant) => !hit.has(instant)).map(
    ({ name, phase, target }) => `${target} in ${phase}: ${name}`,
  );
}

export function toPage(
  rows: readonly Row[],
  run: { seed: number; minutes: number; results: readonly FolderResult[] },
): string {
  const times = (ms: readonly number[]): string =>
    ms.length === 0 ? '' : `${whole(percentile(ms, 0.5))} / ${whole(Math.max(...ms))}`;
  const line = (row: Row): string[] => [
    row.name,
    String(row.kills),
    row.moments,
    String(row.lost),
    String(row.doubled),
    times(row.firstMs),
    times(row.caughtUpMs),
  ];
  const sum = (of: (row: Row) => number): number => rows.reduce((all, row) => all + of(row), 0);
  const counted = (of: (result: FolderResult) => number): number =>
    run.results.reduce((all, result) => all + of(result), 0);
  const total: Row = {
    name: 'all',
    moments: '',
    kills: sum((row) => row.kills),
    lost: counted(({ verdict }) => verdict.lost.length),
    doubled: counted(({ verdict }) => verdict.doubled.length),
    firstMs: rows.flatMap((row) => row.firstMs),
    caughtUpMs: rows.flatMap((row) => row.caughtUpMs),
  };
  const date = new Date().toISOString().slice(0, 10);
  const report: Report = {
    title: 'What was killed',
    says: `\`npm run test:crash\` on ${date}: ${total.kills} kills of ${run.results.length} data folders in ${Math.round(run.minutes)} minutes, seed ${run.seed}; ${whole(counted(({ verdict }) => verdict.events))} events stored once, ${whole(counted(({ verdict }) => verdict.duplicates))} copies recognised. Times are from the kill to the answer of the first request sent after it, and until everything that waited then is stored, p50 / max; three systems, their senders and the judge shared ${availableParallelism()} cores. A kill that came while the one before was being recovered from has no times.`,
    columns: ['killed', 'kills', 'at', 'lost', 'doubled', 'first 202, ms', 'caught up, ms'],
    rows: [...rows, total].map(line),
  };
  return toMarkdown(report);
}

export function writeMatrix(page: string): void {
  const text = readFileSync(PAGE, 'utf8');
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END);
  if (begin === -1 || end < begin) throw new Error(`${PAGE} has no ${BEGIN} … ${END}`);
  writeFileSync(PAGE, `${text.slice(0, begin + BEGIN.length)}\n${page}${text.slice(end)}`);
}
