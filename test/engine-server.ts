/**
 * A ClickHouse of a test's own that is reached over the network only: the embedded engine in a
 * process of its own, with which nothing is shared but an address, a user and a password.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { realClock } from '../src/base/clock.ts';
import { createLogger } from '../src/base/logger.ts';
import { startEngine } from '../src/engine/start.ts';
import { freePort, removeFolder, temporaryFolder } from './system.ts';

export interface EngineServer {
  /** With user and password, as CLICKSTREAM_STORE takes it. */
  readonly address: string;
  /** SIGKILL to the whole of it. */
  kill(): Promise<void>;
  /** On the same port, with what it had. */
  startAgain(): Promise<void>;
  /** Kills it, and removes what it had. */
  close(): Promise<void>;
}

export async function startEngineServer(): Promise<EngineServer> {
  const folder = await temporaryFolder('server');
  const port = await freePort();
  let child: ChildProcess;

  async function begin(): Promise<string> {
    const made = spawn(process.execPath, [import.meta.filename, folder, String(port)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    child = made;
    const [address] = (await once(createInterface(made.stdout), 'line')) as [string];
    return address;
  }

  async function kill(): Promise<void> {
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  return {
    address: await begin(),
    kill,
    async startAgain() {
      await begin();
    },
    async close() {
      await kill();
      // Its child sees that it is gone, and lets go of the folder.
      await removeFolder(folder);
    },
  };
}

if (import.meta.main) {
  const [folder = '', port] = process.argv.slice(2);
  const engine = await startEngine({
    folder,
    port: Number(port),
    // A judge reads every row there is, in order, while dashboards and processors go on.
    memoryBytesMax: 2 * 1024 ** 3,
    readers: 2,
    logger: createLogger('silent'),
    clock: realClock,
  });
  const { name, password } = engine.owner;
  const { host } = new URL(engine.url);
  process.stdout.write(`http://${name}:${password}@${host}/clickstream\n`);
}
