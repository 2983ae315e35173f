/** The simulated store keeps the contract of the real one, in all that the processor uses. */
import { recordsContract } from '../../src/process/records.contract.ts';
import type { Surroundings } from './disk.ts';
import { createPlan, heal } from './plan.ts';
import { createRandom } from './random.ts';
import { createActor, createScheduler } from './scheduler.ts';
import { createStore } from './store.ts';

recordsContract('simulation', async () => {
  const { faults, startMs } = createPlan(1);
  heal(faults);
  const scheduler = createScheduler(startMs);
  const around: Surroundings = {
    scheduler,
    random: createRandom(1),
    faults,
    hit: () => undefined,
    trace: () => undefined,
  };
  const records = createStore(around).connect(createActor('test'));

  /** Time passes while an answer is waited for. */
  async function finish<T>(answer: Promise<T>): Promise<T> {
    let isOver = false;
    const over = (): void => {
      isOver = true;
    };
    answer.then(over, over);
    while (!isOver) await scheduler.step();
    return answer;
  }

  return {
    records: {
      registerLog: (log) => finish(records.registerLog(log)),
      takeOver: (logId, partitions, owner) => finish(records.takeOver(logId, partitions, owner)),
      newOwner: records.newOwner,
      hold: (at) => finish(records.hold(at)),
      release: (at) => finish(records.release(at)),
      ownerOf: (at) => finish(records.ownerOf(at)),
      insert: (at, rows) => finish(records.insert(at, rows)),
      settle: (at) => finish(records.settle(at)),
      held: (at, from, to) => finish(records.held(at, from, to)),
      last: (at, from) => finish(records.last(at, from)),
      newestMs: () => finish(records.newestMs()),
      countBySlice: (sinceMs, sliceMs) => finish(records.countBySlice(sinceMs, sliceMs)),
      storedIds: (range, share) => finish(records.storedIds(range, share)),
      erasedIds: (afterMs) => finish(records.erasedIds(afterMs)),
      copies: (project, ids, afterMs) => finish(records.copies(project, ids, afterMs)),
    },
    close: async () => undefined,
  };
});
