/**
 * The file of `rejected replay --file`: lines that `rejected list --json` printed, edited.
 */
import { createReadStream } from 'node:fs';
import { access, constants } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { AppError } from '../../base/errors.ts';
import { isObject } from '../../event/parse.ts';
import { isCleanText } from '../../event/read.ts';
import { readJson } from './mend.ts';
import { type Refused, receivedMs, type Selection } from './refused.ts';

const PAGE_ROWS = 1_000;
const PAGE_CHARS_MAX = 8 * 1024 * 1024;

/**
 * Pages of the lines that `selection` takes.
 * @throws AppError `bad_setting` with the line that cannot be read.
 */
export async function* readMended(file: string, selection: Selection): AsyncGenerator<Refused[]> {
  await access(file, constants.R_OK).catch((cause: NodeJS.ErrnoException) => {
    throw new AppError(
      'bad_setting',
      `--file names ${file}, which cannot be read (${cause.code}).`,
    );
  });
  let page: Refused[] = [];
  let chars = 0;
  let number = 0;
  for await (const line of createInterface({
    input: createReadStream(file),
    crlfDelay: Infinity,
  })) {
    number++;
    if (line.trim() === '') continue;
    const row = readLine(line);
    if (row === undefined) {
      throw new AppError(
        'bad_setting',
        `Line ${number} of ${file} is not one that "rejected list --json" printed: it takes project_id, event_id, received_at, reason and payload.`,
      );
    }
    if (!isSelected(row, selection)) continue;
    page.push(row);
    chars += line.length;
    if (page.length < PAGE_ROWS && chars < PAGE_CHARS_MAX) continue;
    yield page;
    page = [];
    chars = 0;
  }
  if (page.length > 0) yield page;
}

function readLine(line: string): Refused | undefined {
  const value = readJson(line);
  if (!isObject(value) || value.payload === undefined) return undefined;
  const { project_id, event_id, received_at, reason, payload } = value;
  const texts = [project_id, event_id, received_at, reason].every(
    (text) => typeof text === 'string' && isCleanText(text),
  );
  if (!texts || event_id === '') return undefined;
  const row = {
    ...(value as unknown as Refused),
    payload: typeof payload === 'string' ? payload : JSON.stringify(payload),
  };
  return Number.isNaN(receivedMs(row)) ? undefined : row;
}

function isSelected(row: Refused, selection: Selection): boolean {
  const { project, reason, fromMs = -Infinity, toMs = Infinity } = selection;
  const ms = receivedMs(row);
  return (
    (project === undefined || row.project_id === project) &&
    (reason === undefined || row.reason === reason) &&
    ms >= fromMs &&
    ms < toMs
  );
}
