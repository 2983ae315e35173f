/**
 * Stands between a processor and its store, and freezes the processor (SIGSTOP) while one of its
 * statements, most often an INSERT into `records`, is on its way: none of it forwarded, half of it,
 * or all of it and the answer held back.
 */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import {
  createServer,
  type IncomingMessage,
  request as openRequest,
  type ServerResponse,
} from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

export type Moment =
  | 'before it is sent'
  | 'in the middle of its body'
  | 'before its answer arrives';

export interface FreezingProxy {
  port: number;
  /**
   * Freezes the process at its next INSERT, or another statement; resolves with its id when it is
   * frozen. Where several processes come through here it is told, from the port of its connection,
   * which one it is.
   */
  freeze(pid: number | PidOf, moment: Moment, statement?: RegExp): Promise<number>;
  /** Continues the process, if it is still there, and what was held back. */
  thaw(): void;
  close(): Promise<void>;
}

/** Undefined when it is none of those that are meant. */
type PidOf = (port: number) => Promise<number | undefined>;

interface Plan {
  pid: number | PidOf;
  moment: Moment;
  statement: RegExp;
  frozen: PromiseWithResolvers<number>;
  thawed: PromiseWithResolvers<void>;
}

type Caught = Plan & { pid: number };

const LOOK_AGAIN_MS = 2;
const INSERT = /INSERT\s+INTO\s+records/i;
/** A statement is in the address, with rows as the body, or it is the body. */
const STATEMENT_BYTES_MAX = 1_000;
/** Parameters are in the address: as much as the engine takes, and more than Node does by itself. */
const ADDRESS_BYTES_MAX = 128 * 1024;

export async function startFreezingProxy(storeUrl: string): Promise<FreezingProxy> {
  let next: Plan | undefined;
  let frozen: { pid: number; thawed: PromiseWithResolvers<void> } | undefined;

  async function catches(port: number, text: string): Promise<Caught | undefined> {
    const plan = next;
    if (plan === undefined || !plan.statement.test(text)) return undefined;
    const pid = typeof plan.pid === 'number' ? plan.pid : await plan.pid(port);
    // Another one may have come to the question first.
    if (pid === undefined || next !== plan) return undefined;
    next = undefined;
    return { ...plan, pid };
  }

  async function stop({ pid, frozen: isFrozen, thawed }: Caught): Promise<void> {
    process.kill(pid, 'SIGSTOP');
    while (!(await isStopped(pid))) await sleep(LOOK_AGAIN_MS);
    frozen = { pid, thawed };
    isFrozen.resolve(pid);
    await thawed.promise;
  }

  async function forward(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = Buffer.concat(await request.toArray());
    const address = decodeURIComponent((request.url ?? '').replaceAll('+', ' '));
    const text = `${address} ${body.toString('utf8', 0, STATEMENT_BYTES_MAX)}`;
    const plan = await catches(request.socket.remotePort ?? 0, text);
    if (plan?.moment === 'before it is sent') await stop(plan);
    const { 'content-length': _, ...headers } = request.headers;
    const to = openRequest(new URL(request.url ?? '/', storeUrl), {
      method: request.method ?? 'GET',
      headers,
      agent: false,
    });
    const answered = once(to, 'response') as Promise<[IncomingMessage]>;
    if (plan?.moment === 'in the middle of its body') {
      const half = Math.ceil(body.length / 2);
      await new Promise((resolve) => to.write(body.subarray(0, half), resolve));
      await stop(plan);
      to.end(body.subarray(half));
    } else to.end(body);
    const [from] = await answered;
    const answer = Buffer.concat(await from.toArray());
    if (plan?.moment === 'before its answer arrives') await stop(plan);
    response.writeHead(from.statusCode ?? 500, from.headers).end(answer);
  }

  const server = createServer({ maxHeaderSize: ADDRESS_BYTES_MAX }, (request, response) => {
    forward(request, response).catch(() => response.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    async freeze(pid, moment, statement = INSERT) {
      const [frozen, thawed] = [Promise.withResolvers<number>(), Promise.withResolvers<void>()];
      next = { pid, moment, statement, frozen, thawed };
      return frozen.promise;
    },
    thaw() {
      if (frozen === undefined) return;
      try {
        process.kill(frozen.pid, 'SIGCONT');
      } catch (error) {
        // It was killed meanwhile; its INSERT may come all the same.
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
      frozen.thawed.resolve();
      frozen = undefined;
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** The state in /proc is the first word behind the name. */
async function isStopped(pid: number): Promise<boolean> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8');
  return text.slice(text.lastIndexOf(')') + 2).startsWith('T');
}
