/**
 * A log that others have open as well, as far as one process can tell: it can be away, and lose the
 * answer to an append that it has carried out.
 */
import { AppError } from '../src/base/errors.ts';
import type { Log, NewRecord } from '../src/log/log.ts';

export interface SharedLog extends Log {
  /** `silent`: appends are carried out, and end as if the log were away. */
  state: 'here' | 'away' | 'silent';
  /** Records of each append that was tried, in order. */
  readonly tries: number[];
  /** Called before an append is carried out, while it is here. */
  onAppend: (records: readonly NewRecord[]) => void | Promise<void>;
}

export function createSharedLog(log: Log): SharedLog {
  const away = () => new AppError('log_unreachable', 'The log does not answer.');
  const refuseIfAway = () => {
    if (shared.state === 'away') throw away();
  };
  const shared: SharedLog = {
    id: log.id,
    partitions: log.partitions,
    isExclusive: false,
    own: (...of) => log.own(...of),
    close: () => log.close(),
    state: 'here',
    tries: [],
    onAppend: () => undefined,
    async append(records) {
      shared.tries.push(records.length);
      refuseIfAway();
      await shared.onAppend(records);
      const positions = await log.append(records);
      if (shared.state === 'silent') throw away();
      return positions;
    },
    async read(...of) {
      refuseIfAway();
      return log.read(...of);
    },
    async commit(...of) {
      refuseIfAway();
      return log.commit(...of);
    },
    async committed(partition) {
      refuseIfAway();
      return log.committed(partition);
    },
    async offsetSince(...of) {
      refuseIfAway();
      return log.offsetSince(...of);
    },
    async stats() {
      refuseIfAway();
      return log.stats();
    },
  };
  return shared;
}
