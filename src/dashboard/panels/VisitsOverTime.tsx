/** Visits over time: the answer to `visits_over_time`. */
import { bucketMs } from '../ui/format.ts';
import { LineChart } from '../ui/LineChart.tsx';
import { QuestionPanel } from './question.tsx';

export function VisitsOverTime() {
  return (
    <QuestionPanel
      question="visits_over_time"
      title="Visits over time"
      how="Distinct visits with an event in the step; the last step is still filling."
      columns={{ time: 'From', visits: 'Visits' }}
      isEmpty={(rows) => rows.every((row) => row.visits === 0)}
      wide
      heightPx={240}
    >
      {(rows) => (
        <LineChart
          unit="visits"
          points={rows.map((row) => ({ time: bucketMs(row.time), value: row.visits }))}
        />
      )}
    </QuestionPanel>
  );
}
