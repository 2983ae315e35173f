/** `clickstream users`: name and password of the embedded engine's users. */
import { readAccess } from '../open.ts';
import { type Command, readArguments, write } from './command.ts';

export const users: Command = {
  says: 'user and password of the embedded engine (ClickHouse protocol)',
  help: `clickstream users: address, users and passwords of the embedded engine.

  npm run clickstream users

The first is the reader, for people and tools; the second owns the tables.
`,
  async run(parameters, { config, stdout }) {
    readArguments({ args: parameters, options: {} });
    const { url, database, reader, owner } = readAccess(config);
    const lines = [reader, owner].map(({ name, password }) => `${name.padEnd(12)} ${password}\n`);
    await write(stdout, `${url}, database ${database}\n${lines.join('')}`);
    return 0;
  },
};
