/** From the first bucket to the last, in milliseconds: it decides how a bucket is named. */
export function spanMs(rows: readonly { time: string }[]): number {
  const at = (row: { time: string } | undefined): number =>
    row === undefined ? 0 : Date.parse(row.time.replace(' ', 'T'));
  return at(rows.at(-1)) - at(rows[0]);
}
