/** Visits over time: the answer to `visits_over_time`. */
import { formatBucket } from '../ui/format.ts';
import { LineChart } from '../ui/LineChart.tsx';
import { QuestionPanel } from './question.tsx';
import { spanMs } from './span.ts';

export function VisitsOverTime() {
  return (
    <QuestionPanel
      question="visits_over_time"
      title="Visits over time"
      how="Distinct visits with an event in the step; the last step is still filling."
      columns={{ time: 'From', visits: 'Visits' }}
      isEmpty={(rows) => rows.every((row) => row.visits === 0)}
      wide
    >
      {(rows) => (
        <LineChart
          unit="visits"
          points={rows.map((row) => ({
            label: formatBucket(row.time, spanMs(rows)),
            value: row.visits,
          }))}
        />
      )}
    </QuestionPanel>
  );
}
