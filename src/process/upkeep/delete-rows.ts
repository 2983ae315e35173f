/**
 * Deletes rows of the table `records`. A mutation rewrites parts for as long as it takes, and inserts
 * must not wait for it: it is started, and then asked about until it is over.
 */
import type { Clock } from '../../base/clock.ts';
import { AppError } from '../../base/errors.ts';
import type { Store, Value } from '../../store/store.ts';

interface DeleteParts {
  store: Store;
  clock: Clock;
  signal: AbortSignal;
}

const LOOK_AGAIN_MS = 10;
const LOOK_AGAIN_MS_MAX = 1_000;

/**
 * Resolves when no row is left that `where` names; `params` are bound in it.
 * @throws AppError `store_…`, `stopping`: then it goes on in the store, or does not.
 */
export async function deleteRows(
  { store, clock, signal }: DeleteParts,
  where: string,
  params: Readonly<Record<string, Value>>,
): Promise<void> {
  await store.command(`ALTER TABLE records DELETE WHERE ${where}`, params);
  for (let waitMs = LOOK_AGAIN_MS; ; waitMs = Math.min(waitMs * 2, LOOK_AGAIN_MS_MAX)) {
    const open = await store.select<{ reason: string }>(
      `SELECT latest_fail_reason AS reason FROM system.mutations
       WHERE database = currentDatabase() AND table IN ('records', 'records_local') AND NOT is_done`,
    );
    const failed = open.find(({ reason }) => reason !== '');
    if (failed !== undefined) throw new AppError('store_refused', failed.reason);
    if (open.length === 0) return;
    if (signal.aborted) throw new AppError('stopping', 'The rows are still being deleted.');
    await clock.sleep(waitMs, signal);
  }
}
