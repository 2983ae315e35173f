/** Events over time: the answer to `events_over_time`. */
import { bucketMs } from '../ui/format.ts';
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
      {(rows) => (
        <LineChart
          unit="events"
          points={rows.map((row) => ({ time: bucketMs(row.time), value: row.events }))}
        />
      )}
    </QuestionPanel>
  );
}
