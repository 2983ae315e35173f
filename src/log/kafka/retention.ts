/**
 * Deletes what is processed and old enough, of the partitions of this process. The topic itself is
 * made to keep everything, because the brokers do not know what has been processed.
 */
import type { Admin } from '@platformatic/kafka';

/** @param offset The first one that stays. */
export async function deleteBefore(
  admin: Admin,
  topic: string,
  partition: number,
  offset: number,
): Promise<void> {
  const partitions = [{ partition, offset: BigInt(offset) }];
  await admin.deleteRecords({ topics: [{ name: topic, partitions }] });
}
