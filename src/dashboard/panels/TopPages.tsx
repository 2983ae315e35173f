/** Top pages: the answer to `top_pages`. */
import { BarList, RANKING_PX } from '../ui/BarList.tsx';
import { formatNumber } from '../ui/format.ts';
import { addFilter } from '../url-state.ts';
import { QuestionPanel } from './question.tsx';

export function TopPages() {
  return (
    <QuestionPanel
      question="top_pages"
      title="Top pages"
      how="Page views by path; visitors are distinct."
      heightPx={RANKING_PX}
      columns={{ path: 'Page', views: 'Views', visitors: 'Visitors' }}
    >
      {(rows) => (
        <BarList
          head={['Page', 'Views']}
          entries={rows.map((row) => ({
            name: row.path,
            value: row.views,
            note: `${formatNumber(row.visitors)} visitors`,
          }))}
          onPick={(value, isOut) =>
            addFilter({ field: 'path', operator: isOut ? 'is_not' : 'is', value })
          }
        />
      )}
    </QuestionPanel>
  );
}
