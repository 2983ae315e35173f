/** The real store, with a named instant before, during and after each thing the processor does. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Store } from '../../src/store/store.ts';
import type { Trigger } from './trigger.ts';

const INSERTS: Record<string, string> = {
  records: 'insert',
  owners: 'take over',
  logs: 'register log',
};

export function createKillingStore(store: Store, trigger: Trigger): Store {
  async function around<T>(what: string, work: () => Promise<T>): Promise<T> {
    trigger.at(`before ${what}`);
    const during = trigger.isDue(`during ${what}`);
    const working = work();
    if (during !== undefined) {
      // It may fail before anybody waits for it.
      working.catch(() => undefined);
      await sleep(during.afterMs);
      trigger.kill(during);
    }
    const done = await working;
    trigger.at(`after ${what}`);
    return done;
  }

  return {
    ...store,
    insert: (table, ...rest) => around(INSERTS[table] ?? table, () => store.insert(table, ...rest)),
    settle: (groups) => around('settle', () => store.settle(groups)),
    select(sql, params, options) {
      const work = () => store.select<never>(sql, params, options);
      return sql.includes('SELECT log_offset, outcome FROM records')
        ? around('look', work)
        : work();
    },
  };
}
