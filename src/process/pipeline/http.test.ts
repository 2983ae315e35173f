/** The sum as it is asked for: over HTTP, with one parameter or none, and by a scrape. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { realClock } from '../../base/clock.ts';
import { AppError } from '../../base/errors.ts';
import { createHttpServer } from '../../base/http.ts';
import { createLogger } from '../../base/logger.ts';
import { createMetrics } from '../../base/metrics.ts';
import type { Spooled } from '../../log/log.ts';
import type { Counts, PipelineAnswer } from './answer.ts';
import { pipelineGauges, pipelineRoute } from './http.ts';
import type { Pipeline } from './pipeline.ts';

const LIMITS = {
  headersTimeoutMs: 5_000,
  requestTimeoutMs: 5_000,
  connectionsMax: 100,
  addressConnectionsMax: 100,
  headerBytesMax: 16_384,
};

const countsOf = (stored: number, missing = 0): Counts => ({
  accepted: stored + missing,
  stored,
  ...{ duplicate: 0, rejected: 0, removed: 0, waiting: 0, missing },
});

const answerOf = (projects: PipelineAnswer['projects'], missing = 0): PipelineAnswer => ({
  closed: missing === 0,
  total: countsOf(5, missing),
  projects,
  minutes: [],
  partitions: [],
  rejected: [],
  stored_until: '2026-11-24T12:00:00.000Z',
  took_ms: 1,
  spool: null,
  spark: null,
  last_audit: null,
});

async function listen(
  t: TestContext,
  pipeline: Pipeline | undefined,
  spooled?: () => Spooled,
): Promise<string> {
  const clock = { ...realClock, now: () => 1_700_000_000_000 };
  const route = pipelineRoute(pipeline, clock, spooled);
  const server = createHttpServer([route], LIMITS, createLogger('silent'));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(async () => {
    server.closeAllConnections();
    await once(server.close(), 'close');
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/pipeline`;
}

test('the sum is answered for all projects, or for the one that is named', async (t) => {
  const asked: (string | undefined)[] = [];
  const url = await listen(t, {
    answer: async (project) => {
      asked.push(project);
      return answerOf([]);
    },
  });
  for (const query of ['', '?project=shop', '?project=']) {
    const response = await fetch(url + query);
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('cache-control'), 'no-store');
    assert.deepEqual(await response.json(), answerOf([]));
  }
  assert.deepEqual(asked, [undefined, 'shop', '']);
  const wrong = await fetch(`${url}?projects=shop`);
  assert.equal(wrong.status, 400);
  assert.match(await wrong.text(), /\\"projects\\" is not a parameter; there is project/);
});

test('a process that has not both the log and the store says who can be asked', async (t) => {
  const response = await fetch(await listen(t, undefined));
  assert.equal(response.status, 404);
  const { error } = (await response.json()) as { error: { message: string } };
  assert.match(error.message, /not have both.*the role "process"/);
});

test('while there is no sum to be told, what is on the spool is told beside the error', async (t) => {
  const message = 'The log does not answer.';
  const pipeline = { answer: () => Promise.reject(new AppError('log_unreachable', message)) };
  const spooled: Spooled = {
    ...{ records: 7, bytes: 700, oldestMs: 1_699_999_990_000 },
    ...{ isLogAnswering: false, refusal: 'It is full.' },
  };
  const response = await fetch(await listen(t, pipeline, () => spooled));
  assert.equal(response.status, 503);
  const spool = { records: 7, bytes: 700, behind_ms: 10_000, log_answers: false };
  assert.deepEqual(await response.json(), {
    error: { code: 'log_unreachable', message },
    spool: { ...spool, refusal: 'It is full.' },
  });
  // A process that only collects has no sum, but a spool.
  const collector = await fetch(await listen(t, undefined, () => ({ ...spooled, records: 8 })));
  assert.equal(collector.status, 404);
  assert.equal(((await collector.json()) as { spool: { records: number } }).spool.records, 8);
});

async function scrape(answer: Pipeline['answer']): Promise<string[]> {
  const metrics = createMetrics();
  pipelineGauges(metrics, { answer }, realClock);
  return (await metrics.text())
    .split('\n')
    .filter((line) => /^clickstream_(records|pipeline|spark)/.test(line));
}

test('a scrape has the sum by project and outcome, and whether it closes', async () => {
  const lines = await scrape(async () =>
    answerOf(
      [
        { project_id: 'shop', ...countsOf(5) },
        { project_id: '', ...countsOf(1, 2) },
      ],
      2,
    ),
  );
  assert.ok(lines.includes('clickstream_records{project="shop",outcome="stored"} 5'));
  assert.ok(lines.includes('clickstream_records{project="",outcome="missing"} 2'));
  assert.ok(lines.includes('clickstream_records_missing 2'));
  assert.ok(lines.includes('clickstream_pipeline_closed 0'));
  assert.equal(lines.length, 2 * 7 + 2);
});

test('a scrape has no more than a hundred projects and the sum of the others', async () => {
  const projects = Array.from({ length: 130 }, (_, i) => {
    return { project_id: `p${i}`, ...countsOf(3) };
  });
  const lines = await scrape(async () => answerOf(projects));
  assert.equal(lines.length, 101 * 7 + 2);
  assert.ok(lines.includes('clickstream_records{project="(others)",outcome="stored"} 90'));
});

const PROGRESS = {
  ...{ batch: 7, rows: 900, input_rate: 450.5, process_rate: 1_200, batch_ms: 750, insert_ms: 90 },
  ...{ lag: 12, executors: 2 },
};

test('a scrape has the numbers of a Spark job, and of one that stands still only its age', async () => {
  const of = (spark: PipelineAnswer['spark']) => scrape(async () => ({ ...answerOf([]), spark }));
  const seen_at = new Date(Date.now() - 300_000).toISOString();
  const running = await of({ seen_at, now: PROGRESS, recent: [] });
  for (const line of ['input_rate 450.5', 'process_rate 1200', 'batch_seconds 0.75'])
    assert.ok(running.includes(`clickstream_spark_${line}`), line);
  for (const line of ['insert_seconds 0.09', 'lag 12', 'executors 2'])
    assert.ok(running.includes(`clickstream_spark_${line}`), line);
  const isSpark = (line: string) => line.startsWith('clickstream_spark');
  const [age, ...more] = (await of({ seen_at, now: null, recent: [] })).filter(isSpark);
  assert.match(age ?? '', /^clickstream_spark_age_seconds 3\d\d/);
  assert.deepEqual(more, []);
  assert.deepEqual((await of(null)).filter(isSpark), []);
});

test('a scrape has no sum, rather than an old one, when it cannot be counted in time', async () => {
  const down = new AppError('store_unreachable', 'The store does not answer.');
  assert.deepEqual(await scrape(() => Promise.reject(down)), []);
  assert.deepEqual(await scrape(() => new Promise(() => undefined)), []);
});
