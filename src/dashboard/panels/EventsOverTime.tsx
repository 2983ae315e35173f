/** Events over time: the answer to `events_over_time`. */
import { formatBucket } from '../ui/format.ts';
import { LineChart } from '../ui/LineChart.tsx';
import { QuestionPanel } from './question.tsx';
import { spanMs } from './span.ts';

export function EventsOverTime() {
  return (
    <QuestionPanel
      question="events_over_time"
      title="Events over time"
      how="Every event, by when it happened; the last step is still filling."
      columns={{ time: 'From', events: 'Events', visits: 'Visits' }}
      isEmpty={(rows) => rows.every((row) => row.events === 0)}
      wide
    >
      {(rows) => (
        <LineChart
          unit="events"
          points={rows.map((row) => ({
            label: formatBucket(row.time, spanMs(rows)),
            value: row.events,
          }))}
        />
      )}
    </QuestionPanel>
  );
}
