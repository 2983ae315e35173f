/**
 * The dashboards as one file, which any Superset imports on its own page and over REST. Written by
 * hand since Node has no zip: nothing is packed, and the same files give the same bytes.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';

/** The importer drops the first folder of each path; this is it. */
const ROOT = 'clickstream';
const LOCAL_HEADER = 0x04034b50;
const CENTRAL_HEADER = 0x02014b50;
const END_OF_CENTRAL = 0x06054b50;
/** Of the format that has no more than what is used here. */
const VERSION = 20;
/** Names are UTF-8. */
const FLAGS = 0x0800;
/** The first day that the format knows, 1980-01-01. */
const DATE = 0x21;

/** @param folder of the bundle: its YAML files become the entries. */
export async function zipOf(folder: string): Promise<Buffer> {
  const names = await readdir(folder, { recursive: true });
  const parts: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const name of names.filter((each) => each.endsWith('.yaml')).toSorted()) {
    const path = Buffer.from(`${ROOT}/${name}`);
    const content = await readFile(join(folder, name));
    const described = describe(path, content);
    const header = Buffer.concat([uint32(LOCAL_HEADER), described, path]);
    parts.push(header, content);
    // Version that made it; then no comment, first disk, no attributes, and where the entry begins.
    central.push(uint32(CENTRAL_HEADER), uint16(VERSION), described);
    central.push(Buffer.alloc(10), uint32(offset), path);
    offset += header.length + content.length;
  }
  const directory = Buffer.concat(central);
  const count = uint16(parts.length / 2);
  const sizes = [uint32(directory.length), uint32(offset)];
  const end = [uint32(END_OF_CENTRAL), Buffer.alloc(4), count, count, ...sizes, uint16(0)];
  return Buffer.concat([...parts, directory, ...end]);
}

/** What both headers of an entry have. */
function describe(path: Buffer, content: Buffer): Buffer {
  return Buffer.concat([
    ...[VERSION, FLAGS, 0, 0, DATE].map(uint16),
    ...[crc32(content), content.length, content.length].map(uint32),
    ...[path.length, 0].map(uint16),
  ]);
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
