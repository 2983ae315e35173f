/**
 * Work on a partition whose owner is another process: it is held in the store for as long as the work
 * takes, so that what its owner inserts meanwhile is refused. The owner sees that it is held, waits,
 * takes it back, and begins again with what is stored.
 */
import type { Records } from '../records.ts';
import type { Owned } from './heal.ts';

/** The partition changes hands twice, which its owner pays for: the window is loaded again. */
export async function whileHeld<T>(
  records: Records,
  logId: number,
  partition: number,
  work: (owned: Owned) => Promise<T>,
): Promise<T> {
  const owner = await records.hold({ logId, partition });
  try {
    return await work({ owner, suspect: () => undefined });
  } finally {
    await records.release({ logId, partition });
  }
}
