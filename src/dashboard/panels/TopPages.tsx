/** Top pages: the answer to `top_pages`. */
import { BarList } from '../ui/BarList.tsx';
import { addFilter } from '../url-state.ts';
import { QuestionPanel } from './question.tsx';

export function TopPages() {
  return (
    <QuestionPanel
      question="top_pages"
      title="Top pages"
      how="Page views by path; visitors are distinct."
      columns={{ path: 'Page', views: 'Views', visitors: 'Visitors' }}
    >
      {(rows) => (
        <BarList
          head={['Page', 'Views']}
          entries={rows.map((row) => ({
            name: row.path,
            value: row.views,
            note: `${row.visitors} visitors`,
          }))}
          onPick={(value, isOut) =>
            addFilter({ field: 'path', operator: isOut ? 'is_not' : 'is', value })
          }
        />
      )}
    </QuestionPanel>
  );
}
