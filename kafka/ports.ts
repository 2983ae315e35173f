/** Ports for a cluster: whether they are free, and some that are. */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { PORTS } from './properties.ts';

/**
 * The base of ports that are free now. They lie below those that the kernel gives to outgoing
 * connections: one of these could take the port of a node while it is down.
 */
export async function freeBase(): Promise<number> {
  for (;;) {
    const base = randomInt(15_000, 32_000);
    const ports = Array.from({ length: PORTS }, (_, i) => base + i);
    if ((await Promise.all(ports.map(isFree))).every(Boolean)) return base;
  }
}

export async function isFree(port: number): Promise<boolean> {
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
