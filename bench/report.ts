/**
 * What every bench gives back, how figures are put together, and how they are printed.
 */

export interface Report {
  title: string;
  /** What was measured and how, in a sentence or two; with the durability it was measured at. */
  says: string;
  columns: readonly string[];
  rows: readonly (readonly string[])[];
}

/** Of an odd number of rounds the middle one; never the best. */
export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

/** The smallest value that at least `share` (0 to 1) of the values do not exceed. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

/** `median (lowest–highest)`, as text. */
export function spread(values: readonly number[], digits = 0): string {
  const text = (value: number): string =>
    value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return `${text(median(values))} (${text(Math.min(...values))}–${text(Math.max(...values))})`;
}

export function whole(value: number): string {
  return Math.round(value).toLocaleString('en');
}

/** The report as Markdown, its columns aligned for a terminal as well. */
export function toMarkdown({ title, says, columns, rows }: Report): string {
  const widths = columns.map((name, i) =>
    Math.max(name.length, ...rows.map((row) => (row[i] ?? '').length)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${widths.map((width, i) => (cells[i] ?? '').padEnd(width)).join(' | ')} |`;
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`;
  return `## ${title}\n\n${says}\n\n${[line(columns), rule, ...rows.map(line)].join('\n')}\n`;
}
