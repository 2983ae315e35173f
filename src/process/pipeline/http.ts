/**
 * The sum of the pipeline for people and programs: `GET /api/pipeline`, and gauges for Prometheus
 * from the same numbers.
 */
import type { Clock } from '../../base/clock.ts';
import { AppError, errorBody } from '../../base/errors.ts';
import { type Route, sendJson } from '../../base/http.ts';
import type { Metrics, Samples } from '../../base/metrics.ts';
import type { Spooled } from '../../log/log.ts';
import type { PipelineAnswer, SparkProgress } from './answer.ts';
import { type Pipeline, spoolOf } from './pipeline.ts';

const NO_STORE = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };
const OUTCOMES = [
  'accepted',
  'stored',
  'duplicate',
  'rejected',
  'removed',
  'waiting',
  'missing',
] as const;
/** A scrape does not wait longer: what is counted for the first time may take a while. */
const SCRAPE_MS_MAX = 2_000;
/** So many projects have their own samples; the rest is summed up as one. */
const PROJECTS_MAX = 100;
const OTHERS = '(others)';
/** No samples when the last micro-batch is more than a minute ago. */
const SPARK: readonly [name: string, help: string, read: (now: SparkProgress) => number][] = [
  ['input_rate', 'Records a second that arrive, as Spark measures.', (now) => now.input_rate],
  ['process_rate', 'Records a second that Spark processes.', (now) => now.process_rate],
  ['batch_seconds', 'Time of the last micro-batch.', (now) => now.batch_ms / 1000],
  ['insert_seconds', 'Time of its inserts.', (now) => now.insert_ms / 1000],
  ['lag', 'Records on the topic behind the last micro-batch.', (now) => now.lag],
  ['executors', 'Executors that Spark has.', (now) => now.executors],
];

/**
 * `pipeline` is undefined in a process that does not have both the log and the store. What is on the
 * spool is answered in any case, beside the error if there is one.
 */
export function pipelineRoute(
  pipeline: Pipeline | undefined,
  clock: Clock,
  spooled: (() => Spooled) | undefined,
): Route {
  async function answer(parameters: URLSearchParams): Promise<PipelineAnswer> {
    if (pipeline === undefined) {
      throw new AppError(
        'not_found',
        'This process does not have both the log and the store, so it cannot tell the sum: ask the one with the role "process".',
      );
    }
    const unknown = [...parameters.keys()].find((name) => name !== 'project');
    if (unknown !== undefined) {
      throw new AppError('bad_request', `"${unknown}" is not a parameter; there is project.`, {
        field: unknown,
      });
    }
    return pipeline.answer(parameters.get('project') ?? undefined);
  }

  return {
    method: 'GET',
    path: '/api/pipeline',
    async handle({ response, url }) {
      try {
        sendJson(response, 200, await answer(url.searchParams), NO_STORE);
      } catch (error) {
        if (!(error instanceof AppError) || spooled === undefined) throw error;
        const body = JSON.parse(errorBody(error)) as object;
        const spool = spoolOf(spooled(), clock.now());
        sendJson(response, error.status, { ...body, spool }, NO_STORE);
      }
    },
  };
}

/** Has no samples while the sum cannot be counted: old ones would pass for new. */
export function pipelineGauges(metrics: Metrics, pipeline: Pipeline, clock: Clock): void {
  const sample = async (read: (answer: PipelineAnswer) => Samples): Promise<Samples> => {
    const answered = new AbortController();
    const counting = pipeline.answer().catch((error: unknown) => {
      if (!(error instanceof AppError)) throw error;
    });
    const late = clock.sleep(SCRAPE_MS_MAX, answered.signal);
    try {
      const answer = await Promise.race([counting, late]);
      return answer === undefined ? [] : read(answer);
    } finally {
      answered.abort();
    }
  };
  metrics.gauge(
    'clickstream_records',
    'Records by what became of them: accepted is the sum of the others.',
    () => sample(({ projects }) => samplesOf(projects)),
    ['project', 'outcome'],
  );
  metrics.gauge('clickstream_records_missing', 'Records without a row; below 0: with two.', () =>
    sample(({ total }) => [[{}, total.missing]]),
  );
  metrics.gauge(
    'clickstream_pipeline_closed',
    '1 when nothing is missing or doubled, else 0.',
    () => sample(({ closed }) => [[{}, closed ? 1 : 0]]),
  );
  for (const [name, help, read] of SPARK) {
    metrics.gauge(`clickstream_spark_${name}`, help, () =>
      sample(({ spark }) => (spark?.now ? [[{}, read(spark.now)]] : [])),
    );
  }
  metrics.gauge('clickstream_spark_age_seconds', 'Since the last micro-batch has ended.', () =>
    sample(({ spark }) => {
      if (spark === null) return [];
      return [[{}, Math.max(0, clock.now() - Date.parse(spark.seen_at)) / 1000]];
    }),
  );
}

function samplesOf(projects: PipelineAnswer['projects']): Samples {
  const sums = new Map<string, number>();
  for (const [i, project] of projects.entries()) {
    const name = i < PROJECTS_MAX ? project.project_id : OTHERS;
    for (const outcome of OUTCOMES) {
      const key = JSON.stringify({ project: name, outcome });
      sums.set(key, (sums.get(key) ?? 0) + project[outcome]);
    }
  }
  return [...sums].map(([labels, records]) => [
    JSON.parse(labels) as Record<string, string>,
    records,
  ]);
}
