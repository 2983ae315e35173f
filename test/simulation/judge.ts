/**
 * Says what is wrong with the end of a run: the promises of docs/delivery.md, decided once more
 * from the records and nothing else.
 */
import { recordKey } from '../../src/event/wire.ts';
import type { Ledger } from './sender.ts';
import type { StoredRow } from './store.ts';

/** A partition of the log, read at the end. */
export interface FinalLog {
  /** Texts of the records by their offset; those that retention has deleted are not here. */
  texts: Map<number, string>;
  committed: number;
  end: number;
}

export interface Case {
  ledger: Ledger;
  rows: readonly StoredRow[];
  logId: number;
  /** Undefined when the log refused to be opened, for damage that was really there. */
  logs: readonly FinalLog[] | undefined;
  windowMs: number;
  /** The disk has lied: what was acknowledged may be gone. */
  mayLoseAcknowledged: boolean;
}

/** What a record says, decided here and not by the code under test. */
interface Meaning {
  project_id: string;
  event_id: string;
  /** Undefined where only the log knows it. */
  received_ms: number | undefined;
  isEvent: boolean;
  isPoison: boolean;
}

export function judge(run: Case): string[] {
  const { ledger, rows, logId, logs } = run;
  const wrong: string[] = [];
  const acknowledged = new Map<string, string[]>();
  for (const { partition, offset, text } of ledger.acknowledged) {
    const place = `${partition}/${offset}`;
    const known = acknowledged.get(place) ?? [];
    if (known.length > 0 && !run.mayLoseAcknowledged) wrong.push(`${place} was given twice`);
    acknowledged.set(place, [...known, text]);
  }

  const sent = new Set([...ledger.sent].map((text) => nameOf(meaningOf(text))));
  const ours = rows.filter((row) => row.log_id === logId);
  const stored = new Map<string, number[]>();
  for (const row of rows) if (row.log_id !== logId) remember(stored, row);
  const partitions = Map.groupBy(ours, (row) => row.log_partition);

  for (const [partition, found] of partitions) {
    const inOrder = found.toSorted((a, b) => a.log_offset - b.log_offset);
    for (const [i, row] of inOrder.entries()) {
      const place = `${partition}/${row.log_offset}`;
      if (row.log_offset !== i) {
        wrong.push(`the rows of partition ${partition} have ${row.log_offset} where ${i} is due`);
        break;
      }
      const inLog = logs?.[partition]?.texts.get(row.log_offset);
      // What a lying disk has lost, its place may have been given again.
      const known = run.mayLoseAcknowledged ? [] : (acknowledged.get(place) ?? []);
      const texts = inLog === undefined ? known : [inLog];
      const text = texts.find((each) => isRowOf(row, meaningOf(each)));
      if (texts.length > 0 && text === undefined) {
        wrong.push(`${place} is ${nameOf(row)} in the store and ${texts.join(' or ')} in the log`);
      }
      if (!sent.has(nameOf(row)) && !isUnreadable(ledger, row)) {
        wrong.push(`${place} is ${nameOf(row)}, which was never sent`);
      }
      wrong.push(...wrongOutcome(row, text, stored, run.windowMs).map((why) => `${place} ${why}`));
      remember(stored, row);
    }
  }

  for (const [partition, { texts, committed, end }] of (logs ?? []).entries()) {
    const found = partitions.get(partition)?.length ?? 0;
    if (committed !== end || found !== end) {
      wrong.push(`partition ${partition}: ${found} rows, ${committed} committed, ${end} records`);
    }
    for (const [offset, text] of texts) {
      if (!ledger.sent.has(text)) wrong.push(`${partition}/${offset} in the log was never sent`);
    }
  }
  if (logs !== undefined && !run.mayLoseAcknowledged) {
    const places = new Map(ours.map((row) => [`${row.log_partition}/${row.log_offset}`, row]));
    for (const [place, [text = '']] of acknowledged) {
      const row = places.get(place);
      if (row === undefined) wrong.push(`${place} was acknowledged and has no row: ${text}`);
      else if (!isRowOf(row, meaningOf(text))) wrong.push(`${place} is not what was acknowledged`);
    }
  }
  return wrong;
}

function wrongOutcome(
  row: StoredRow,
  text: string | undefined,
  stored: ReadonlyMap<string, readonly number[]>,
  windowMs: number,
): string[] {
  const meaning = text === undefined ? undefined : meaningOf(text);
  if (meaning?.isEvent === false) {
    return row.outcome === 'rejected' ? [] : [`was refused and is ${row.outcome}`];
  }
  const key = recordKey(meaning?.project_id ?? row.project_id, meaning?.event_id ?? row.event_id);
  // What is rejected as it stands has the time that it was received at; so has everything else.
  const copies = stored.get(key) ?? [];
  const isRepeated = copies.some((timeMs) => timeMs > row.received_ms - windowMs);
  // Nobody knows any more what the record was, so it may have been a poisoned one.
  if (meaning === undefined && row.outcome === 'rejected') return [];
  const due = isRepeated ? 'duplicate' : meaning?.isPoison === true ? 'rejected' : 'stored';
  const times = copies.map((timeMs) => timeMs - row.received_ms);
  return row.outcome === due
    ? []
    : [`is ${row.outcome}, not ${due}; copies are stored at ${times.join(', ') || 'no time'}`];
}

function remember(stored: Map<string, number[]>, row: StoredRow): void {
  if (row.outcome !== 'stored') return;
  const key = recordKey(row.project_id, row.event_id);
  stored.set(key, [...(stored.get(key) ?? []), row.received_ms]);
}

const meanings = new Map<string, Meaning>();

function meaningOf(text: string): Meaning {
  const known = meanings.get(text);
  if (known !== undefined) return known;
  // Bounded: a text is asked for again only within a run.
  if (meanings.size > 10_000) meanings.clear();
  const meaning = read(text);
  meanings.set(text, meaning);
  return meaning;
}

function read(text: string): Meaning {
  let record: Record<string, unknown>;
  try {
    record = JSON.parse(text) as Record<string, unknown>;
  } catch {
    const project_id = /"project_id":"(\w+)"/.exec(text)?.[1] ?? '';
    const isOther = { isEvent: false, isPoison: false };
    return { project_id, event_id: '', received_ms: undefined, ...isOther };
  }
  const isEvent = record.rejected === undefined;
  const said = (record.rejected ?? record) as Record<string, unknown>;
  return {
    project_id: String(said.project_id),
    event_id: String(said.event_id),
    received_ms: Number(said.received_at),
    isEvent,
    isPoison: said.item_price === 'not a number',
  };
}

function nameOf(of: { project_id: string; event_id: string; received_ms: unknown }): string {
  return `${of.project_id} ${of.event_id} ${of.received_ms}`;
}

/** A row without an id keeps the bytes that could not be used. */
function isUnreadable(ledger: Ledger, row: StoredRow): boolean {
  return row.outcome === 'rejected' && row.event_id === '' && ledger.sent.has(row.payload);
}

function isRowOf(row: StoredRow, meaning: Meaning): boolean {
  if (row.outcome === 'rejected' && row.event_id === '') {
    return row.project_id === meaning.project_id && (meaning.isPoison || !meaning.isEvent);
  }
  return nameOf(row) === nameOf(meaning);
}
