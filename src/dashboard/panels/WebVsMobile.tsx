/** Web and mobile: the answer to `web_vs_mobile`. */
import { Donut } from '../ui/Donut.tsx';
import { QuestionPanel } from './question.tsx';

export function WebVsMobile() {
  return (
    <QuestionPanel
      question="web_vs_mobile"
      title="Web and mobile"
      how="Distinct visits by where they came from."
      columns={{ traffic_source: 'Source', visits: 'Visits' }}
    >
      {(rows) => (
        <Donut
          unit="Visits"
          shares={rows.map((row) => ({ name: row.traffic_source, value: row.visits }))}
        />
      )}
    </QuestionPanel>
  );
}
