/**
 * What this machine can do without our code: `node:http` that takes a body whole, writes it to a
 * file, and answers when one `fdatasync` shared by all that wait has returned. No checks, no record
 * format. Bodies are written as they are; at `/parsed` they are read as JSON before, and at
 * `/rewritten` each event is written as JSON again. Prints its port.
 *
 *   npx node bench/ceiling.ts <file>
 */
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

const MB = 1024 * 1024;
const FILE_BYTES = 256 * MB;

const file = await open(process.argv[2] ?? '', 'w+');
const zeros = Buffer.alloc(MB);
for (let at = 0; at < FILE_BYTES; at += MB) await file.write(zeros, 0, MB, at);
await file.sync();

let waiting: { chunks: Buffer[]; response: ServerResponse }[] = [];
let isFlushing = false;
let at = 0;

async function flush(): Promise<void> {
  isFlushing = true;
  while (waiting.length > 0) {
    const group = waiting;
    waiting = [];
    const bytes = Buffer.concat(group.flatMap(({ chunks }) => chunks));
    if (at + bytes.length > FILE_BYTES) at = 0;
    await file.write(bytes, 0, bytes.length, at);
    await file.datasync();
    at += bytes.length;
    for (const { response } of group) {
      response.writeHead(202, { 'content-type': 'application/json', 'content-length': 2 });
      response.end('{}');
    }
  }
  isFlushing = false;
}

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    if (request.url === '/parsed') JSON.parse(Buffer.concat(chunks).toString());
    if (request.url === '/rewritten') {
      const events = JSON.parse(Buffer.concat(chunks).toString()) as unknown[];
      waiting.push({ chunks: events.map((e) => Buffer.from(JSON.stringify(e))), response });
    } else waiting.push({ chunks, response });
    if (!isFlushing) void flush();
  });
});
await once(server.listen(0, '127.0.0.1'), 'listening');
process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
process.on('SIGTERM', () => process.exit(0));
