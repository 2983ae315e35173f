/** The numbers behind a chart. Says how many rows are left out. */
import { formatNumber } from './format.ts';

const ROWS_MAX = 50;

export function DataTable<Row extends object>({
  rows,
  columns,
  caption,
}: {
  rows: readonly Row[];
  columns: Readonly<Partial<Record<keyof Row & string, string>>>;
  caption: string;
}) {
  const names = Object.keys(columns) as (keyof Row & string)[];
  const align = (value: unknown): string | undefined =>
    typeof value === 'number' ? 'number' : undefined;
  const left = rows.length - ROWS_MAX;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls must be reachable by keyboard
    <section className="table-box" tabIndex={0} aria-label={`Table of ${caption}`}>
      <table>
        <thead>
          <tr>
            {names.map((name) => (
              <th key={name} scope="col" className={align(rows[0]?.[name])}>
                {columns[name]}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, ROWS_MAX).map((row) => (
            <tr key={JSON.stringify(row)}>
              {names.map((name) => (
                <td key={name} className={align(row[name])}>
                  {typeof row[name] === 'number' ? formatNumber(row[name]) : String(row[name])}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {left > 0 && <p className="note">{formatNumber(left)} more rows are in the CSV.</p>}
    </section>
  );
}
