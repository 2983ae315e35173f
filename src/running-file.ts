/**
 * `running.json` in the data folder: there while Clickstream runs, and taken away by an orderly stop.
 * Its token, another one for each start, shows that who asks for more than reading may read this
 * folder, and means this process.
 *
 * What a process had written is safe from its own death, but not from the machine's, if a disk said
 * "written" too early. So a start that finds the file of another boot owes an audit; the file keeps
 * the debt until the audit is done.
 */
import { randomBytes } from 'node:crypto';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Logger } from './base/logger.ts';
import type { Log } from './log/log.ts';

export interface RunningFile {
  readonly token: string;
  /** Since when what is stored has to be audited; undefined when nothing is owed. */
  readonly auditFromMs: number | undefined;
  /** The audit is done. */
  settle(): Promise<void>;
  /** An orderly stop; what is still owed is kept. */
  close(): Promise<void>;
}

interface Content {
  boot_id: string;
  token: string;
  audit_from_ms?: number;
}

const NAME = 'running.json';
const FILE_MODE = 0o600;

/** Another one for each start of the machine. */
const BOOT_ID = '/proc/sys/kernel/random/boot_id';

const HOUR_MS = 3_600_000;

/**
 * Notes that Clickstream runs on this folder; done before new events come in.
 * @param log Undefined where nothing of it is this process's to audit.
 */
export async function openRunningFile(
  folder: string,
  log: Log | undefined,
  logger: Logger,
): Promise<RunningFile> {
  const path = join(folder, NAME);
  const token = randomBytes(18).toString('base64url');
  const boot_id = (await readFile(BOOT_ID, 'utf8').catch(() => '')).trim();
  const before = readContent(await readFile(path, 'utf8').catch(() => undefined));
  // Where boots cannot be told apart, every end that was not orderly counts.
  const isSameBoot = before !== undefined && boot_id !== '' && before.boot_id === boot_id;
  let auditFromMs = before?.audit_from_ms;
  if (before !== undefined && !isSameBoot && log !== undefined)
    auditFromMs ??= await lastHourMs(log);
  const write = async () => {
    const owed = auditFromMs === undefined ? {} : { audit_from_ms: auditFromMs };
    try {
      await writeDurably(path, JSON.stringify({ boot_id, token, ...owed } satisfies Content));
    } catch (error) {
      // A full disk is no reason not to start: only an audit might be missed.
      logger.warn({ err: error, path }, 'it cannot be noted that Clickstream runs');
    }
  };
  await write();
  return {
    token,
    get auditFromMs() {
      return auditFromMs;
    },
    async settle() {
      auditFromMs = undefined;
      await write();
    },
    async close() {
      if (auditFromMs === undefined) await rm(path, { force: true });
    },
  };
}

/** The token of the process that runs on this folder; empty when it has left none. */
export async function readToken(folder: string): Promise<string> {
  return (
    readContent(await readFile(join(folder, NAME), 'utf8').catch(() => undefined))?.token ?? ''
  );
}

/** A file that was cut by the end of the machine says that much. */
function readContent(text: string | undefined): Content | undefined {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as Content;
  } catch {
    return { boot_id: '', token: '' };
  }
}

/** In one step, so that who reads it meets the text of before or all of this one. */
async function writeDurably(path: string, text: string): Promise<void> {
  const written = `${path}.new`;
  const file = await open(written, 'w', FILE_MODE);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(written, path);
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/**
 * The hour before the newest record, or, where records wait, before the oldest of those: what was
 * stored last lies before it. Undefined when there is none.
 */
async function lastHourMs(log: Log): Promise<number | undefined> {
  let newestMs: number | undefined;
  const { ends, oldestWaitingMs } = await log.stats();
  for (const [partition, end] of ends.entries()) {
    if (end === 0) continue;
    const limits = { recordsMax: 1, bytesMax: 1, waitMs: 0 };
    const [last] = await log.read(partition, end - 1, limits);
    if (last !== undefined) newestMs = Math.max(newestMs ?? last.timeMs, last.timeMs);
  }
  if (newestMs === undefined) return undefined;
  const waiting = oldestWaitingMs.filter((ms) => ms !== undefined);
  return Math.min(newestMs, ...waiting) - HOUR_MS;
}
