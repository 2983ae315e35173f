/** Visits over time: the answer to `visits_over_time`. */
import { bucketTimes } from '../ui/format.ts';
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
      {(rows) => {
        const times = bucketTimes(rows.map((row) => row.time));
        const points = rows.map((row, i) => ({ time: times[i] ?? 0, value: row.visits }));
        return <LineChart unit="visits" points={points} />;
      }}
    </QuestionPanel>
  );
}
