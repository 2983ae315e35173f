/** Events over time: the answer to `events_over_time`. */
import { bucketTimes } from '../ui/format.ts';
import { LineChart } from '../ui/LineChart.tsx';
import { QuestionPanel } from './question.tsx';

export function EventsOverTime() {
  return (
    <QuestionPanel
      question="events_over_time"
      title="Events over time"
      how="Every event, by when it happened; the last step is still filling."
      columns={{ time: 'From', events: 'Events', visits: 'Visits' }}
      isEmpty={(rows) => rows.every((row) => row.events === 0)}
      wide
      heightPx={240}
    >
      {(rows) => {
        const times = bucketTimes(rows.map((row) => row.time));
        const points = rows.map((row, i) => ({ time: times[i] ?? 0, value: row.events }));
        return <LineChart unit="events" points={points} />;
      }}
    </QuestionPanel>
  );
}
