/** Events by name: the answer to `events_by_name`. */
import { BarList, RANKING_PX } from '../ui/BarList.tsx';
import { formatNumber } from '../ui/format.ts';
import { addFilter } from '../url-state.ts';
import { QuestionPanel } from './question.tsx';

export function EventsByName() {
  return (
    <QuestionPanel
      question="events_by_name"
      title="Events by name"
      how="Every event counts; visits are distinct."
      heightPx={RANKING_PX}
      columns={{ event_name: 'Event', events: 'Events', visits: 'Visits' }}
    >
      {(rows) => (
        <BarList
          head={['Event', 'Events']}
          entries={rows.map((row) => ({
            name: row.event_name,
            value: row.events,
            note: `${formatNumber(row.visits)} visits`,
          }))}
          onPick={(value, isOut) =>
            addFilter({ field: 'event_name', operator: isOut ? 'is_not' : 'is', value })
          }
        />
      )}
    </QuestionPanel>
  );
}
