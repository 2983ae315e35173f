/** Visits by hour of the day: the answer to `visits_by_hour`. */
import { BarChart } from '../ui/BarChart.tsx';
import { QuestionPanel } from './question.tsx';

export function VisitsByHour() {
  return (
    <QuestionPanel
      question="visits_by_hour"
      title="Visits by hour of the day"
      how="Distinct visits with an event in that hour, in your time zone."
      columns={{ hour: 'Hour', visits: 'Visits' }}
      heightPx={260}
      isEmpty={(rows) => rows.every((row) => row.visits === 0)}
    >
      {(rows) => (
        <BarChart
          unit="visits"
          isSequence
          series={['Visits']}
          groups={rows.map((row) => ({
            label: String(row.hour).padStart(2, '0'),
            values: [row.visits],
          }))}
        />
      )}
    </QuestionPanel>
  );
}
