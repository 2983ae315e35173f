/**
 * The store in memory, as the processor sees it through `Records`: rows of an insert appear
 * together, an insert may end without an answer and be done all the same, now or later, and the
 * rows of an owner who was replaced are refused. As on a server, statements run side by side, rows
 * appear some time after the fence has let them pass, and nothing but the id of a statement tells
 * whose it is. records.contract.ts shows that it answers as the real one does.
 */
import { crc32 } from 'node:zlib';
import { AppError } from '../../src/base/errors.ts';
import { recordKey } from '../../src/event/wire.ts';
import {
  type Held,
  HOLDER_MIN,
  insertsOf,
  type LogPartition,
  type Records,
} from '../../src/process/records.ts';
import { COLUMNS } from '../../src/process/row.ts';
import type { Value } from '../../src/store/store.ts';
import type { Surroundings } from './disk.ts';
import { type Actor, createActor } from './scheduler.ts';

export interface StoredRow {
  outcome: Held['outcome'];
  project_id: string;
  event_id: string;
  received_ms: number;
  log_id: number;
  log_partition: number;
  log_offset: number;
  reason: string;
  payload: string;
}

/** The model of the insert token, for a processor that relies on it: see `insert`. */
interface TokenRecords extends Records {
  insert(at: LogPartition, rows: readonly string[], token?: string): Promise<void>;
}

export interface SimulatedStore {
  readonly rows: readonly StoredRow[];
  readonly numbers: ReadonlyMap<string, number>;
  connect(actor: Actor): Records;
  /** It ends at once and is there again after a while. */
  restart(): void;
  /** What a client that died had sent goes on, or ends with it. */
  clientEnds(actor: Actor): void;
  /** Called when a processor has written its number, and when it has begun to work. */
  onOwner: (actor: Actor, is: 'known' | 'at work') => void;
}

/** An insert that the store has received and not ended. */
interface Running {
  client: Actor;
  /** What it does, as the id of the statement says it. */
  group: string;
  /** Refuses, or lets it pass; once. */
  check: () => void;
  /** Does it. */
  apply: () => void;
  hasPassed: boolean;
  /** Takes it out of the queue and answers. */
  end: (error?: AppError) => void;
}

const COLUMN = Object.fromEntries(COLUMNS.map((name, i) => [name, i]));

/** `earlier` rows came by another log. */
export function createStore(
  around: Surroundings,
  earlier: readonly StoredRow[] = [],
): SimulatedStore {
  const { scheduler, random, faults, hit, trace } = around;
  const server = createActor('store');
  const rows: StoredRow[] = [...earlier];
  const numbers = new Map(earlier.map((row) => [`earlier ${row.log_id}`, row.log_id]));
  const owners = new Map<string, number>();
  const tokens = new Set<string>();
  const running = new Set<Running>();
  const waiters: (() => void)[] = [];
  let downUntilMs = 0;
  let nextOwner = 1;

  const isDown = (): boolean => scheduler.nowMs < downUntilMs;
  const unreachable = (): AppError => new AppError('store_unreachable', 'simulated');
  const ambiguous = (): AppError => new AppError('store_ambiguous', 'simulated');

  /** A question: answered as of one moment, and the answer takes its time. */
  function ask<T>(actor: Actor, what: string, work: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      scheduler.after(random.next() * 5, actor, () => {
        if (isDown() || random.chance(faults.storeUnreachable)) {
          hit('store unreachable');
          trace(() => `${actor.name}: ${what}: unreachable`);
          reject(unreachable());
          return;
        }
        const answer = work();
        trace(() => `${actor.name}: ${what}: ${JSON.stringify(answer) ?? ''}`);
        scheduler.after(random.next() * 2, actor, () => resolve(answer));
      });
    });
  }

  /** A statement that writes: checked in one moment, and done in a later one. */
  function write(
    actor: Actor,
    what: string,
    { group, check = () => undefined, apply }: Pick<Running, 'group' | 'apply'> & Partial<Running>,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const answer = (error?: AppError, delayMs = random.next() * 2): void => {
        scheduler.after(delayMs, actor, () => {
          trace(() => `${actor.name}: answer to ${what}: ${error?.code ?? 'done'}`);
          if (error === undefined) resolve();
          else reject(error);
        });
      };
      if (isDown() || random.chance(faults.storeUnreachable)) {
        hit('store unreachable');
        answer(unreachable());
        return;
      }
      if (random.chance(faults.insertCutBefore)) {
        hit('insert cut off before the store had it');
        answer(ambiguous());
        return;
      }
      const isCut = random.chance(faults.insertCutAfter);
      if (isCut) hit('insert done, and its answer cut off');
      const isSlow = random.chance(faults.insertSlow);
      if (isSlow) hit('insert done long after its caller gave up');
      if (isSlow) answer(ambiguous());
      const statement: Running = {
        client: actor,
        group,
        check,
        apply,
        hasPassed: false,
        end(error) {
          running.delete(statement);
          if (!isSlow) answer(isCut ? ambiguous() : error);
          for (const wake of waiters.splice(0)) wake();
        },
      };
      running.add(statement);
      const stalls = random.chance(faults.insertStalls);
      if (stalls) hit('insert slow to be written');
      const whole = isSlow || stalls ? random.between(10, 2_000) : random.next() * 10;
      // What takes long may be its body, or what comes behind the fence.
      const first = whole * random.next();
      scheduler.after(first, server, () => {
        if (!running.has(statement)) return;
        const refusal = pass(statement);
        statement.hasPassed = refusal === undefined;
        if (refusal?.code === 'taken_over') hit('insert of an earlier owner refused');
        if (refusal?.code === 'store_refused') hit('insert refused');
        trace(() => `store: ${what} of ${actor.name}: ${refusal?.code ?? 'has passed'}`);
        if (refusal !== undefined) statement.end(refusal);
      });
      scheduler.after(whole, server, () => {
        if (!running.has(statement)) return;
        statement.apply();
        trace(() => `store: ${what} of ${actor.name}: applied`);
        statement.end();
      });
    });
  }

  function pass(statement: Pick<Running, 'check'>): AppError | undefined {
    try {
      statement.check();
      return undefined;
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      return error;
    }
  }

  /** Ends without its turn: it was done to the end just before, or not at all. */
  function breakOff(statement: Running): void {
    const wasDone = random.chance(0.5) && (statement.hasPassed || pass(statement) === undefined);
    if (wasDone) statement.apply();
    statement.end(ambiguous());
  }

  function refuse(values: readonly Value[][]): void {
    const months = new Set(values.map((row) => text(row, 'received_at').slice(0, 7)));
    if (months.size > 1) throw new AppError('store_refused', 'more than one part');
    for (const row of values) {
      const price = row[COLUMN.item_price ?? -1];
      if (typeof price === 'string' && price !== '' && !/^-?\d+(\.\d+)?$/.test(price)) {
        throw new AppError('store_refused', 'not a number');
      }
    }
    for (const row of values) {
      const of = `${number(row, 'log_id')}/${number(row, 'log_partition')}`;
      if ((owners.get(of) ?? 0) === number(row, 'owner')) continue;
      throw new AppError('taken_over', 'simulated');
    }
  }

  function connect(actor: Actor): TokenRecords {
    /** KILL: each ends some time later, unless it has come to its own end before. */
    const settle = async (...groups: string[]): Promise<void> => {
      const killed = await ask(actor, `settle ${groups.join(' ')}`, () => {
        const found = [...running].filter((statement) => groups.includes(statement.group));
        for (const statement of found) {
          if (statement.client !== actor) hit('insert of another process killed');
          if (statement.client !== actor && statement.hasPassed)
            hit('insert of another process killed behind the fence');
          scheduler.after(random.next() * 10, server, () => {
            if (running.has(statement)) breakOff(statement);
          });
        }
        return found.map((statement) => ({ ends: () => !running.has(statement) }));
      });
      while (killed.some((statement) => !statement.ends())) {
        const { promise, resolve } = Promise.withResolvers<void>();
        waiters.push(() => scheduler.after(0, actor, resolve));
        await promise;
      }
    };
    const takeOver = async (
      logId: number,
      partitions: readonly number[],
      owner: number,
    ): Promise<number> => {
      const takeOvers = `owners-${logId}-${partitions[0]}`;
      await settle(takeOvers);
      await write(actor, `owner ${owner}`, {
        group: takeOvers,
        apply: () => {
          for (const partition of partitions) owners.set(`${logId}/${partition}`, owner);
          store.onOwner(actor, 'known');
        },
      });
      await settle(...partitions.map((partition) => insertsOf({ logId, partition })));
      return owner;
    };
    return {
      async registerLog(log) {
        const known = await ask(actor, 'number of the log', () => numbers.get(log));
        if (known !== undefined) return known;
        await write(actor, 'register', {
          group: 'logs',
          apply: () => {
            if (!numbers.has(log)) numbers.set(log, numbers.size + 1);
          },
        });
        return ask(actor, 'number of the log', () => numbers.get(log) ?? 0);
      },

      takeOver: (logId, partitions, owner = nextOwner++) => takeOver(logId, partitions, owner),
      newOwner: () => nextOwner++,
      hold: ({ logId, partition }) => takeOver(logId, [partition], HOLDER_MIN + nextOwner++),
      async release({ logId, partition }) {
        await takeOver(logId, [partition], 0);
      },
      ownerOf: ({ logId, partition }) =>
        ask(actor, `owner of ${partition}`, () => owners.get(`${logId}/${partition}`) ?? 0),

      insert(at, lines, token) {
        const values = lines.map((line) => JSON.parse(line) as Value[]);
        const offsets = values.map((row) => number(row, 'log_offset')).join(' ');
        const check = (): void => refuse(values);
        const apply = (): void => {
          const made = values.map(toRow);
          if (token === undefined) {
            rows.push(...made);
            return;
          }
          // The flaw of tokens on a plain MergeTree: the token is noted before the part is there.
          // If the store ends in between, whoever tries again is told that all is well.
          if (tokens.has(token)) return;
          tokens.add(token);
          const notedIn = starts;
          scheduler.after(random.next() * 5, server, () => {
            if (notedIn === starts) rows.push(...made);
          });
        };
        const what = `insert ${at.partition}: ${offsets}`;
        return write(actor, what, { group: insertsOf(at), check, apply });
      },

      settle: (at) => settle(insertsOf(at)),

      held: (at, from, to) =>
        ask(actor, `held ${at.partition}: ${from} to ${to}`, () =>
          rows
            .filter((row) => isAt(row, at) && row.log_offset >= from && row.log_offset < to)
            .map(({ log_offset, outcome }) => ({ log_offset, outcome })),
        ),

      last: (at, from) =>
        ask(actor, `last of ${at.partition} from ${from}`, () => {
          store.onOwner(actor, 'at work');
          const there = rows.filter((row) => isAt(row, at) && row.log_offset >= from);
          const last = there.sort((a, b) => b.log_offset - a.log_offset)[0];
          return last && { log_offset: last.log_offset, event_id: last.event_id, batch_id: 1 };
        }),

      newestMs: () =>
        ask(actor, 'newest', () => rows.reduce((ms, row) => Math.max(ms, row.received_ms), 0)),

      countBySlice: (sinceMs, sliceMs) =>
        ask(actor, 'slices', () => {
          const recent = rows.filter((row) => isStored(row) && row.received_ms >= sinceMs);
          const slices = Map.groupBy(recent, (row) => Math.trunc(row.received_ms / sliceMs));
          return [...slices]
            .map(([slice, { length: ids }]) => ({ slice, ids }))
            .sort((a, b) => b.slice - a.slice);
        }),

      storedIds: ({ fromMs, toMs }, { partition, partitions }) =>
        ask(actor, `ids from ${fromMs} to ${toMs}`, () =>
          rows
            .filter((row) => isStored(row) && row.received_ms >= fromMs && row.received_ms < toMs)
            .filter((row) => crc32(keyOf(row)) % partitions === partition)
            .map(({ project_id, event_id, received_ms }) => ({
              project_id,
              event_id,
              received_ms,
            })),
        ),

      // Nobody erases in a run.
      erasedIds: () => ask(actor, 'erased ids', () => []),

      copies(project, ids, afterMs) {
        const wanted = new Set(ids);
        hit('store asked for an id');
        return ask(actor, `copies of ${ids.join(' ')} after ${afterMs}`, () =>
          rows
            .filter((row) => isStored(row) && row.received_ms > afterMs)
            .filter((row) => row.project_id === project && wanted.has(row.event_id))
            .map(({ outcome: _, reason: _reason, payload: _payload, ...copy }) => copy)
            .sort(
              (a, b) =>
                a.received_ms - b.received_ms ||
                a.log_id - b.log_id ||
                a.log_partition - b.log_partition ||
                a.log_offset - b.log_offset,
            ),
        );
      },
    };
  }

  let starts = 0;
  const store: SimulatedStore = {
    rows,
    numbers,
    connect,
    restart() {
      hit('store restarted');
      trace(() => 'store: restart');
      starts += 1;
      downUntilMs = scheduler.nowMs + random.between(1, 500);
      for (const statement of [...running]) breakOff(statement);
    },
    clientEnds(actor) {
      for (const statement of [...running]) {
        if (statement.client === actor && random.chance(0.4)) breakOff(statement);
      }
    },
    onOwner: () => undefined,
  };
  return store;
}

function toRow(row: readonly Value[]): StoredRow {
  return {
    outcome: text(row, 'outcome') as Held['outcome'],
    project_id: text(row, 'project_id'),
    event_id: text(row, 'event_id'),
    received_ms: Date.parse(`${text(row, 'received_at').replace(' ', 'T')}Z`),
    log_id: number(row, 'log_id'),
    log_partition: number(row, 'log_partition'),
    log_offset: number(row, 'log_offset'),
    reason: text(row, 'reason'),
    payload: text(row, 'payload'),
  };
}

function text(row: readonly Value[], column: string): string {
  return String(row[COLUMN[column] ?? -1]);
}

function number(row: readonly Value[], column: string): number {
  return Number(row[COLUMN[column] ?? -1]);
}

function keyOf(row: StoredRow): string {
  return recordKey(row.project_id, row.event_id);
}

function isStored(row: StoredRow): boolean {
  return row.outcome === 'stored';
}

function isAt(row: StoredRow, at: { logId: number; partition: number }): boolean {
  return row.log_id === at.logId && row.log_partition === at.partition;
}
