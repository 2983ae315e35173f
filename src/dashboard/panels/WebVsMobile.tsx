/** Web and mobile: the answer to `web_vs_mobile`. */
import { Donut } from '../ui/Donut.tsx';
import { QuestionPanel } from './question.tsx';

const NAMES: Readonly<Record<string, string>> = {
  WEB: 'Web',
  MOBILE: 'Mobile',
  unknown: 'Not known',
};

export function WebVsMobile() {
  return (
    <QuestionPanel
      question="web_vs_mobile"
      title="Web and mobile"
      how="Distinct visits by where they came from."
      columns={{ traffic_source: 'Source', visits: 'Visits' }}
      heightPx={284}
    >
      {(rows) => (
        <Donut
          unit="Visits"
          shares={rows.map((row) => ({
            name: NAMES[row.traffic_source] ?? row.traffic_source,
            value: row.visits,
          }))}
        />
      )}
    </QuestionPanel>
  );
}
