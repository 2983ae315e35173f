/**
 * The sessions of the one database in this process: a writer that takes statements one after the
 * other, and pools of readers, so that a long question never holds up an insert. A statement holds
 * its session from its parameters to its answer, so nothing of one statement reaches another.
 */
import { type ChdbResult, Session } from 'chdb';
import { EngineError } from './errors.ts';

export type Kind = 'writer' | 'owner' | 'reader' | 'reader with settings';

export interface Sessions {
  /**
   * Runs `work` on a free session of this kind, waiting for one if need be.
   * @throws EngineError 202 when too many wait already.
   */
  use<T>(kind: Kind, work: (session: Session) => Promise<T>): Promise<T>;
  /** Waits for what runs, then closes. */
  close(): Promise<void>;
}

export interface SessionLimits {
  readers: number;
  /** Statements that may wait for a session of one kind. */
  waitingMax: number;
  readerSeconds: number;
  readerRowsMax: number;
  readerBytesMax: number;
  readerMemoryBytesMax: number;
}

export function openSessions(folder: string, configFile: string, limits: SessionLimits): Sessions {
  const connectionArgs = [`--config-file=${configFile}`];
  const open = (prepare: string[]): Session => {
    const session = new Session(folder, { connectionArgs, installSignalHandlers: false });
    for (const sql of [
      'CREATE DATABASE IF NOT EXISTS clickstream',
      'USE clickstream',
      ...prepare,
    ]) {
      session.query(sql);
    }
    return session;
  };
  const guarded = [
    `SET max_execution_time = ${limits.readerSeconds}, timeout_overflow_mode = 'throw'`,
    `SET max_result_rows = ${limits.readerRowsMax}, max_result_bytes = ${limits.readerBytesMax}`,
    `SET max_memory_usage = ${limits.readerMemoryBytesMax}, max_threads = 2`,
  ];
  const pools: Record<Kind, Pool> = {
    writer: createPool(1, limits.waitingMax, () => open([])),
    owner: createPool(limits.readers, limits.waitingMax, () => open(['SET max_threads = 2'])),
    reader: createPool(limits.readers, limits.waitingMax, () =>
      open([...guarded, 'SET readonly = 1']),
    ),
    // A caller's settings are refused under readonly = 1; the gate has read the statement before.
    'reader with settings': createPool(1, limits.waitingMax, () =>
      open([...guarded, 'SET readonly = 2']),
    ),
  };
  return {
    use: (kind, work) => pools[kind].use(work),
    async close() {
      await Promise.all(Object.values(pools).map((pool) => pool.drain()));
    },
  };
}

interface Pool {
  use<T>(work: (session: Session) => Promise<T>): Promise<T>;
  drain(): Promise<void>;
}

function createPool(size: number, waitingMax: number, open: () => Session): Pool {
  const free: Session[] = [];
  const waiting: (() => void)[] = [];
  let busy = 0;
  let idle = (): void => undefined;
  return {
    async use(work) {
      if (busy >= size) {
        if (waiting.length >= waitingMax) {
          throw new EngineError(
            202,
            'Too many simultaneous queries. (TOO_MANY_SIMULTANEOUS_QUERIES)',
          );
        }
        // Who ends hands its place over, so `busy` stays as it is.
        await new Promise<void>((resolve) => waiting.push(resolve));
      } else {
        busy++;
      }
      try {
        const session = free.pop() ?? open();
        const result = await closeOnError(session, work);
        free.push(session);
        return result;
      } finally {
        const next = waiting.shift();
        if (next !== undefined) next();
        else if (--busy === 0) idle();
      }
    },
    async drain() {
      if (busy > 0) {
        await new Promise<void>((resolve) => {
          idle = resolve;
        });
      }
      for (const session of free.splice(0)) session.close();
    },
  };
}

/**
 * After a failed statement chDB 3.4 begins the session's next answer with what the failed one had
 * written so far, which may be somebody else's. Such a session is never used again.
 */
async function closeOnError<T>(
  session: Session,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  try {
    return await work(session);
  } catch (error) {
    session.close();
    throw error;
  }
}

/** Binds the parameters on this session, then runs the statement. */
export async function runOn(
  session: Session,
  sql: string,
  format: string,
  parameters: ReadonlyMap<string, string>,
): Promise<ChdbResult> {
  for (const [name, value] of parameters) session.query(`SET param_${name} = ${literal(value)}`);
  return session.queryAsync(sql, { format });
}

export function literal(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
