/**
 * From a question's name to its answer: the SQL file, its marks filled in, its values bound.
 *
 * Marks are comments: `scope` stands for project, bots and filters (`bindScope`), `filter` for the
 * same with the range of time (sql/_filter.sql), `interval` for the length of a bucket.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { check } from '../base/check.ts';
import type { Clock } from '../base/clock.ts';
import { AppError } from '../base/errors.ts';
import type { Store } from '../store/store.ts';
import { type Asked, bindScope, FIRST_MS, intervalOf } from './params.ts';
import type { Answer, Freshness, Question } from './questions.ts';

const FOLDER = join(import.meta.dirname, 'sql');
const FILTER = readFileSync(join(FOLDER, '_filter.sql'), 'utf8').trim();

/** When the store is known to hold everything received before. */
export interface FreshnessSource {
  storedUntilMs(): Promise<number>;
  /**
   * Grows with every batch that is stored, so that nothing is asked when nothing is new; undefined
   * where other processes store batches as well.
   */
  batches: (() => number) | undefined;
}

/** The four lines that open every SQL file. */
export interface Header {
  answers: string;
  takes: string;
  reads: string;
  costs: string;
}

export interface Questions {
  readonly names: readonly Question[];
  header(question: Question): Header;
  /** @throws AppError `not_found` for an unknown question, `store_…` when the store fails. */
  answer(question: string, asked: Asked, signal?: AbortSignal): Promise<Answer<Question>>;
}

export interface QuestionsOptions {
  store: Store;
  clock: Clock;
  /** Of the log; in a process without one the store's newest row is the measure. */
  freshness: FreshnessSource | undefined;
}

export function createQuestions({ store, clock, freshness }: QuestionsOptions): Questions {
  const files = readSqlFiles();
  const names = [...files.keys()].filter((name) => !isLive(name)) as Question[];

  async function storedUntilMs(): Promise<number> {
    if (freshness !== undefined) return freshness.storedUntilMs();
    const rows = await store.select<{ ms: number }>(
      'SELECT toUnixTimestamp64Milli(max(received_at)) AS ms FROM records',
    );
    return rows[0]?.ms ?? 0;
  }

  return {
    names,
    header(question) {
      return readHeader(question, files.get(question) ?? '');
    },
    async answer(question, asked, signal) {
      const sql = files.get(question);
      if (sql === undefined || isLive(question)) {
        throw new AppError(
          'not_found',
          `"${question}" is not a question; there are ${names.join(', ')}.`,
        );
      }
      const startedMs = clock.elapsed();
      // Taken before the answer is made: what it says must hold for every row.
      const until = await storedUntilMs();
      const fromMs = asked.fromMs ?? (await firstEventMs(store, asked));
      const { scope, params } = bindScope(asked);
      const statement = fillMarks(
        sql,
        scope,
        sql.includes('/*interval*/') ? intervalOf(asked, fromMs) : '',
      );
      const bound = {
        ...params,
        from: fromMs,
        to: asked.toMs,
        zone: asked.zone,
        limit: asked.limit,
      };
      const { columns, rows } = await store.query<Answer<Question>['rows'][number]>(
        statement,
        bound,
        signal === undefined ? {} : { signal },
      );
      const took_ms = Math.round((clock.elapsed() - startedMs) * 10) / 10;
      return { columns, rows, freshness: freshnessOf(until, clock.now()), took_ms };
    },
  };
}

/** `stored_until` and its age. */
export function freshnessOf(storedUntilMs: number, nowMs: number): Freshness {
  return {
    stored_until: new Date(storedUntilMs).toISOString(),
    behind_ms: Math.max(0, Math.round(nowMs - storedUntilMs)),
  };
}

/** The statement with its marks filled in. */
export function fillMarks(sql: string, scope: string, interval: string): string {
  return sql
    .replaceAll('/*filter*/', FILTER)
    .replaceAll('/*scope*/', scope)
    .replaceAll('/*interval*/', interval);
}

/** Part of the live stream, not a question of its own. */
export function isLive(name: string): boolean {
  return name.startsWith('live');
}

/** Question → text of its file, comments included. */
export function readSqlFiles(): Map<string, string> {
  const names = readdirSync(FOLDER)
    .filter((name) => /^[a-z].*\.sql$/.test(name))
    .sort();
  return new Map(
    names.map((name) => [name.slice(0, -4), readFileSync(join(FOLDER, name), 'utf8')]),
  );
}

export function readHeader(name: string, sql: string): Header {
  const line = (word: string): string => {
    const found = new RegExp(`^-- ${word}: (.+)$`, 'm').exec(sql)?.[1];
    check(found !== undefined, `sql/${name}.sql says what it ${word.toLowerCase()}`);
    return found;
  };
  return {
    answers: line('Answers'),
    takes: line('Takes'),
    reads: line('Reads'),
    costs: line('Costs'),
  };
}

/** Where `range=all` begins: a millisecond before the first event of the project. */
async function firstEventMs(store: Store, { project, toMs }: Asked): Promise<number> {
  const rows = await store.select<{ ms: number }>(
    'SELECT toUnixTimestamp64Milli(min(event_time)) AS ms FROM events WHERE project_id = {project:String}',
    { project },
  );
  const firstMs = rows[0]?.ms ?? 0;
  return firstMs > FIRST_MS && firstMs < toMs ? firstMs : toMs - 1;
}
