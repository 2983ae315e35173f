/** The database that Superset reads: the embedded engine, or a server, as a user that only reads. */
import { createHash, randomBytes } from 'node:crypto';
import { shortHash } from '../local/cache.ts';
import { ProgramError } from '../local/error.ts';
import { AppError } from '../src/base/errors.ts';
import type { Config } from '../src/config.ts';
import { openForReading, readAccess } from '../src/open.ts';
import { createClickHouseStore, readServerAddress } from '../src/store/clickhouse.ts';
import { keptSecret } from './secrets.ts';

export interface Database {
  host: string;
  port: number;
  /** Over TLS. */
  isSecure: boolean;
  database: string;
  user: string;
  password: string;
}

/** What the name of the user that is made on a server begins with: each Superset has its own there. */
const READER = 'clickstream_reader';
/** What addresses mean that name no port. */
const HTTP_PORT = 80;
const HTTPS_PORT = 443;
/**
 * As the engine's for readers. 1, not 2: Superset's driver finds out that no setting may be changed,
 * and changes none.
 */
const LIMITS =
  'readonly = 1, max_execution_time = 30, max_result_rows = 1000000, max_result_bytes = 64000000';

/**
 * @param folder where the password of a user that is made is kept
 * @throws ProgramError or AppError that says in one sentence what to start, or what to grant.
 */
export async function findDatabase(config: Config, folder: string): Promise<Database> {
  if (config.CLICKSTREAM_STORE.startsWith('engine:')) return engineOf(config);
  const { url, user, password, database } = readServerAddress(config.CLICKSTREAM_STORE);
  const { hostname: host, port, protocol } = new URL(url);
  const isSecure = protocol === 'https:';
  const { text: own } = await keptSecret(folder, 'reader_password', () =>
    randomBytes(18).toString('base64url'),
  );
  const reader = `${READER}_${shortHash(own)}`;
  const store = createClickHouseStore({ url, user, password, database });
  try {
    // Names and hash are of letters and digits, so nothing is to be quoted.
    const hash = createHash('sha256').update(own).digest('hex');
    const as = `${reader} IDENTIFIED WITH sha256_hash BY '${hash}' SETTINGS ${LIMITS}`;
    for (const sql of [
      `CREATE USER IF NOT EXISTS ${as}`,
      `ALTER USER ${as}`,
      `GRANT SELECT ON ${database}.* TO ${reader}`,
    ])
      await store.command(sql);
  } catch (cause) {
    if (!(cause instanceof AppError)) throw cause;
    throw new ProgramError(
      `The user ${reader} for Superset cannot be made (${cause.message}): grant CREATE USER, ALTER USER and, with grant option, SELECT on ${database} to ${user}.`,
      { cause },
    );
  } finally {
    await store.close();
  }
  return {
    ...{ host, isSecure, database, user: reader, password: own },
    port: Number(port) || (isSecure ? HTTPS_PORT : HTTP_PORT),
  };
}

async function engineOf(config: Config): Promise<Database> {
  const how = 'run npm start first, with the same CLICKSTREAM_DATA and CLICKSTREAM_ENGINE_PORT';
  try {
    const { url, reader, database } = readAccess(config);
    await (await openForReading(config)).close();
    const { hostname: host, port } = new URL(url);
    const { name: user, password } = reader;
    return { host, port: Number(port), isSecure: false, database, user, password };
  } catch (cause) {
    if (!(cause instanceof AppError)) throw cause;
    throw new ProgramError(`There is no engine that answers: ${how}.`, { cause });
  }
}
