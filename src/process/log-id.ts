/**
 * The small number that the store gives to each log once. Offsets are only ever compared within
 * one log, so a new folder, a copied folder with a new id or another topic cannot be mistaken.
 */
import { check } from '../base/check.ts';
import type { Store } from '../store/store.ts';

/** The number of the log with this id, given now if it has none. */
export async function registerLog(store: Store, log: string): Promise<number> {
  const numbers = () =>
    store.select<{ log_id: number; log: string }>('SELECT log_id, log FROM logs ORDER BY log_id');
  const known = await numbers();
  const mine = known.find((row) => row.log === log);
  if (mine !== undefined) return mine.log_id;
  const next = (known.at(-1)?.log_id ?? 0) + 1;
  await store.insert('logs', ['log_id', 'log'], [[next, log]]);
  const now = (await numbers()).filter((row) => row.log_id === next);
  check(now.length === 1 && now[0]?.log === log, `log number ${next} belongs to one log`);
  return next;
}
