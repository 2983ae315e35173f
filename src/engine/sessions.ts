/**
 * The sessions of the one database in this process: a writer that takes statements one after the
 * other, and pools of readers, so that a long question never holds up an insert. A statement holds
 * its session from its parameters to its answer, so nothing of one statement reaches another.
 */
import { Session } from 'chdb';
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
  /** Statements that may wait for a session. */
  waitingMax: number;
  reader: ReaderLimits;
}

/** What a reader may use for one statement; a setting beside the SQL may only lower it. */
export interface ReaderLimits {
  max_execution_time: number;
  max_result_rows: number;
  max_result_bytes: number;
  max_memory_usage: number;
  max_threads: number;
}

export function openSessions(folder: string, configFile: string, limits: SessionLimits): Sessions {
  const connectionArgs = [`--config-file=${configFile}`];
  const { reader, readers } = limits;
  const spillBytes = Math.floor(reader.max_memory_usage / 2);
  // By default a statement gets a thread for each GiB of the engine's memory that is free: here one
  // alone. What a statement may use is bounded by max_memory_usage.
  const parallel = 'SET max_threads_min_free_memory_per_thread = 0';
  const guarded = [
    parallel,
    `SET ${Object.entries(reader).map(([name, value]) => `${name} = ${value}`)}`,
    // What does not fit goes to disk rather than fail; it is read by one thread.
    `SET max_bytes_before_external_group_by = ${spillBytes}, max_bytes_before_external_sort = ${spillBytes}`,
    "SET timeout_overflow_mode = 'throw', allow_introspection_functions = 0",
  ];
  const prepare: Record<Kind, string[]> = {
    writer: [],
    owner: [parallel, 'SET max_threads = 2'],
    reader: [...guarded, 'SET readonly = 1'],
    // A caller's settings are refused under readonly = 1; the gate has read the statement before.
    'reader with settings': [...guarded, 'SET readonly = 2'],
  };
  const open = (kind: Kind): Session => {
    const session = new Session(folder, { connectionArgs, installSignalHandlers: false });
    const first = ['CREATE DATABASE IF NOT EXISTS clickstream', 'USE clickstream'];
    for (const sql of [...first, ...prepare[kind]]) session.query(sql);
    return session;
  };
  const pool = (size: number): Pool => createPool(size, limits.waitingMax, open);
  const ofReaders = pool(readers);
  const pools: Record<Kind, Pool> = {
    writer: pool(1),
    owner: pool(readers),
    reader: ofReaders,
    'reader with settings': ofReaders,
  };
  return {
    use: (kind, work) => pools[kind].use(kind, work),
    async close() {
      await Promise.all([...new Set(Object.values(pools))].map((each) => each.drain()));
    },
  };
}

interface Pool {
  use<T>(kind: Kind, work: (session: Session) => Promise<T>): Promise<T>;
  drain(): Promise<void>;
}

/** Places for `size` statements at a time; free sessions of each kind wait for the next. */
function createPool(size: number, waitingMax: number, open: (kind: Kind) => Session): Pool {
  const free: { kind: Kind; session: Session }[] = [];
  const waiting: (() => void)[] = [];
  let busy = 0;
  let idle = (): void => undefined;
  return {
    async use(kind, work) {
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
        const at = free.findIndex((each) => each.kind === kind);
        const session = at < 0 ? open(kind) : (free.splice(at, 1)[0]?.session ?? open(kind));
        const result = await closeOnError(session, work);
        free.push({ kind, session });
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
      for (const { session } of free.splice(0)) session.close();
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

/** Makes `{name:Type}` of the next statements of this session mean these values. */
export async function bind(
  session: Session,
  parameters: ReadonlyMap<string, string>,
): Promise<void> {
  if (parameters.size === 0) return;
  const values = [...parameters].map(([name, value]) => `param_${name} = ${literal(value)}`);
  await session.queryAsync(`SET ${values.join(', ')}`, { format: 'Null' });
}

export async function textOf(session: Session, sql: string): Promise<string> {
  return (await session.queryAsync(sql, { format: 'TSVRaw' })).text();
}

export function literal(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
