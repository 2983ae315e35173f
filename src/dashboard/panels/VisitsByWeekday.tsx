/** Visits by day of the week: the answer to `visits_by_weekday`. */
import { BarChart } from '../ui/BarChart.tsx';
import { weekdayName } from '../ui/format.ts';
import { QuestionPanel } from './question.tsx';

export function VisitsByWeekday() {
  return (
    <QuestionPanel
      question="visits_by_weekday"
      title="Visits by day of the week"
      how="Distinct visits with an event on that weekday, in your time zone."
      columns={{ weekday: 'Weekday (1 is Monday)', visits: 'Visits' }}
      heightPx={260}
      isEmpty={(rows) => rows.every((row) => row.visits === 0)}
    >
      {(rows) => (
        <BarChart
          unit="visits"
          series={['Visits']}
          groups={rows.map((row) => ({
            label: weekdayName(row.weekday, 'short'),
            values: [row.visits],
          }))}
        />
      )}
    </QuestionPanel>
  );
}
