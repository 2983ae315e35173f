/**
 * Who gets which partition, decided by the member that leads the group: as even as it goes, and
 * everybody keeps what is theirs, because a partition that moves has to load its window of ids.
 */

interface Member {
  memberId: string;
  /** What it said of itself: `claimOf`. */
  metadata?: Buffer | string | null;
}

interface Assigned {
  memberId: string;
  assignments: Map<string, { topic: string; partitions: number[] }>;
}

/** What a member says to whoever assigns: the partitions that it has now. */
export function claimOf(partitions: readonly number[]): Buffer {
  return Buffer.from(JSON.stringify(partitions));
}

export function assign(
  _self: string,
  members: ReadonlyMap<string, Member>,
  topics: ReadonlySet<string>,
  metadata: { topics: ReadonlyMap<string, { partitionsCount: number }> },
): Assigned[] {
  const [topic = ''] = topics;
  const partitions = metadata.topics.get(topic)?.partitionsCount ?? 0;
  const ids = [...members.keys()].sort();
  const least = Math.floor(partitions / ids.length);
  /** So many members get one more than the least. */
  let more = partitions % ids.length;
  const free = new Set(Array.from({ length: partitions }, (_, partition) => partition));
  const given = new Map<string, number[]>();
  for (const id of ids) {
    const claimed = readClaim(members.get(id)?.metadata).filter((partition) => free.has(partition));
    const quota = more > 0 && claimed.length > least ? least + 1 : least;
    if (quota > least) more--;
    const kept = claimed.slice(0, quota);
    for (const partition of kept) free.delete(partition);
    given.set(id, kept);
  }
  for (const id of ids) {
    const mine = given.get(id) ?? [];
    let quota = least;
    if (mine.length <= least && more > 0) {
      quota = least + 1;
      more--;
    }
    for (const partition of free) {
      if (mine.length >= quota) break;
      mine.push(partition);
      free.delete(partition);
    }
  }
  return ids.map((memberId) => {
    const mine = (given.get(memberId) ?? []).sort((a, b) => a - b);
    return { memberId, assignments: new Map([[topic, { topic, partitions: mine }]]) };
  });
}

/** Nothing of a member that says it in other words. */
function readClaim(said: Buffer | string | null | undefined): number[] {
  try {
    const claim: unknown = JSON.parse(String(said));
    return Array.isArray(claim) ? [...new Set(claim.filter(Number.isInteger))] : [];
  } catch {
    return [];
  }
}
