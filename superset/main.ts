/** `npm run superset`: a real Superset on this machine with the dashboards of bundle/, until Ctrl-C. */
import { writeFile } from 'node:fs/promises';
import { endWith, readCommandLine } from '../local/command.ts';
import { ProgramError } from '../local/error.ts';
import { readConfig } from '../src/config.ts';
import { findDatabase } from './database.ts';
import { BUNDLE, type Superset, startSuperset } from './superset.ts';
import { zipOf } from './zip.ts';

const PORT_MAX = 65_535;

const HELP = `Apache Superset on this machine, reachable from it alone, with the dashboards Shop, Live and Pipeline
on the events of Clickstream. It needs Python 3.10 to 3.12.

  npm run superset          until Ctrl-C

  --port <number>           of its pages (8088)
  --data <folder>           where its Python environment, its database and its secrets lie
                            (./data/superset)
  --zip <file>              writes the dashboards into this file and ends; a Superset elsewhere imports
                            it on its page of dashboards, and asks for the password of the database
  --help                    this text

It reads the embedded engine of a Clickstream that runs (npm start), or with CLICKSTREAM_STORE a
ClickHouse server, as a user that may only read.
`;

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

async function main(): Promise<void> {
  // What lies in its folder is for this user.
  process.umask(0o077);
  const { port, data, zip, help } = readParameters();
  if (help) return print(HELP);
  if (zip !== undefined) return writeFile(zip, await zipOf(BUNDLE));
  const database = await findDatabase(readConfig(process.env), data);

  let superset: Superset | undefined;
  let isStopping = false;
  const stop = async (code: number): Promise<void> => {
    if (isStopping) return;
    isStopping = true;
    print('  stopping\n');
    // Before it serves there is nothing to stop in order: all ends with this process.
    await superset?.stop();
    process.exit(code);
  };
  for (const signal of SIGNALS) process.on(signal, () => void stop(0));
  // Whoever read the output may be gone.
  process.stdout.on('error', () => undefined);

  superset = await startSuperset({
    folder: data,
    database,
    port,
    progress: (text) => print(`  ${text}\n`),
    onDeath: () => void stop(1),
  });
  if (isStopping) return;
  const { url, user, password, isPasswordNew } = superset;
  const secret = isPasswordNew ? password : `as before, in ${data}/admin_password`;
  print(`
  Superset is running

  dashboards  ${url}/superset/dashboard/shop/, /live/, /pipeline/
  user        ${user}
  password    ${secret}
  reads       ${database.host}:${database.port}/${database.database} as ${database.user}
  stop        Ctrl-C

`);
}

function print(text: string): void {
  process.stdout.write(text);
}

/** @throws ProgramError that says what is wrong. */
function readParameters() {
  const { values } = readCommandLine('superset', {
    options: {
      port: { type: 'string', default: '8088' },
      data: { type: 'string', default: './data/superset' },
      zip: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const port = /^\d+$/.test(values.port) ? Number(values.port) : 0;
  if (port < 1 || port > PORT_MAX)
    throw new ProgramError(
      `--port is "${values.port}", and must be a number from 1 to ${PORT_MAX}.`,
    );
  return { ...values, port };
}

await main().catch((error: unknown) => endWith('superset', error));
