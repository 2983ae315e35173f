/** Ports on the loopback address: whether they are free, and some that are. */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { type Needs, ProgramError } from './error.ts';

/**
 * The first of so many ports in a row (as many as a Kafka takes) that are free now. They lie below those that the kernel gives to
 * outgoing connections: one of these could take the port of a process while it is down.
 */
export async function freeBase(count = 5): Promise<number> {
  for (;;) {
    const base = randomInt(15_000, 32_000);
    const ports = Array.from({ length: count }, (_, i) => base + i);
    if ((await Promise.all(ports.map(isFree))).every(Boolean)) return base;
  }
}

/** @throws ProgramError that names the first port in use and the option that sets others. */
export async function refuseTakenPorts(
  ports: readonly number[],
  needs: Needs,
  option: string,
): Promise<void> {
  for (const port of ports) {
    if (!(await isFree(port)))
      throw new ProgramError(
        `port ${port} is in use by another program, perhaps by a ${needs} that still runs; stop it or choose others with ${option}`,
      );
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    await once(server.listen(port, '127.0.0.1'), 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}
