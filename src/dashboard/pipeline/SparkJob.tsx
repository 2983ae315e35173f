/** How the Spark job does, where one processes the log: what it says of itself. */
import type { Spark } from '../../process/pipeline/answer.ts';
import { Card } from '../ui/Card.tsx';
import { formatAge, formatNumber, formatRate, formatSeconds, formatShort } from '../ui/format.ts';
import { secondsOf } from './PathPicture.tsx';

/** `countedAt`: when the answer was made, by this browser's clock. */
export function SparkJob({
  spark,
  waiting,
  countedAt,
}: {
  spark: Spark;
  waiting: number;
  countedAt: number;
}) {
  const { now, recent } = spark;
  const seenAt = Date.parse(spark.seen_at);
  return (
    <section aria-labelledby="spark" data-testid="spark">
      <h2 id="spark">
        Spark
        {now !== null && (
          <small>
            {`micro-batch ${formatNumber(now.batch)} with ${formatNumber(now.rows)} ${now.rows === 1 ? 'record' : 'records'}, at ${formatSeconds(seenAt)} · lines of the last 10 minutes`}
          </small>
        )}
      </h2>
      {now === null ? (
        <div className={`panel sum ${waiting === 0 ? 'closed' : 'open'}`}>
          <p className={waiting === 0 ? undefined : 'sum-mark'} role="status">
            {`The job was last heard of ${formatAge(countedAt - seenAt)} ago, at ${formatSeconds(seenAt)}. ${stateWords(waiting)}`}
          </p>
        </div>
      ) : (
        <div className="cards spark-job">
          <Card
            name="Arriving"
            value={formatRate(now.input_rate)}
            note="records a second"
            id="spark-input-rate"
          />
          <Card
            name="Processed"
            value={formatRate(now.process_rate)}
            note="records a second"
            id="spark-process-rate"
          />
          <Card
            name="Time of a micro-batch"
            value={secondsOf(now.batch_ms)}
            note={`${secondsOf(now.insert_ms)} of it for inserts`}
            spark={recent.map(({ batch_ms }) => batch_ms)}
            id="spark-batch"
          />
          <Card
            name="Lag"
            value={formatShort(now.lag)}
            exact={formatNumber(now.lag)}
            note="records behind the micro-batch"
            spark={recent.map(({ lag }) => lag)}
            id="spark-lag"
          />
          <Card
            name="Executors"
            value={formatNumber(now.executors)}
            note="that run its tasks"
            id="spark-executors"
          />
        </div>
      )}
    </section>
  );
}

/** A job that was stopped while nothing waits is missed by nobody. */
function stateWords(waiting: number): string {
  if (waiting === 0) return 'Nothing waits for the job.';
  const what = waiting === 1 ? 'record waits' : 'records wait';
  return `${formatNumber(waiting)} ${what}: the job is stopped, or stands still.`;
}
