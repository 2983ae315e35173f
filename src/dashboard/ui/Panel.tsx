/**
 * The frame of a question: title, how it is counted, the chart or its table, a download, and the
 * states of loading, empty and error. A refetch changes nothing until the new answer is there.
 */
import { type ReactNode, useId, useState } from 'react';
import { DataTable } from './DataTable.tsx';

const NOTHING = 'Nothing in this range. Choose a longer one, or fewer filters, above.';

export interface PanelProps<Row extends object> {
  title: string;
  /** How it is counted, in a sentence. */
  how: string;
  rows: readonly Row[] | undefined;
  /** Says that the rows hold nothing to draw; default: there are none. */
  isEmpty?: boolean;
  error: Error | null;
  onRetry: () => void;
  /** Address of the rows, for a download. */
  csv?: string;
  /** What to say where there is nothing to draw. */
  empty?: string;
  /** Names of the table's columns, in words. */
  columns: Readonly<Partial<Record<keyof Row & string, string>>>;
  /** The rows answer an earlier view; those of this one are on their way. */
  isOld?: boolean;
  wide?: boolean;
  heightPx?: number;
  children: (rows: readonly Row[]) => ReactNode;
}

export function Panel<Row extends object>(props: PanelProps<Row>) {
  const [isTable, setTable] = useState(false);
  const id = useId();
  const { rows, heightPx = 220 } = props;
  return (
    <figure className={props.wide ? 'panel wide' : 'panel'} aria-labelledby={id}>
      <figcaption>
        <h3 id={id}>{props.title}</h3>
        {rows !== undefined && props.error !== null && (
          <span className="warning" role="status" title={props.error.message}>
            Not refreshed
          </span>
        )}
        <details
          className="how"
          name="how"
          onKeyDown={(event) => {
            if (event.key === 'Escape') event.currentTarget.open = false;
          }}
          onBlur={(event) => {
            event.currentTarget.open = false;
          }}
        >
          <summary aria-label={`How ${props.title} is counted`}>?</summary>
          <p>{props.how}</p>
        </details>
        <button type="button" aria-pressed={isTable} onClick={() => setTable(!isTable)}>
          Table
        </button>
        {props.csv !== undefined && (
          <a href={`${props.csv}&format=csv`} download aria-label={`${props.title} as CSV`}>
            CSV
          </a>
        )}
      </figcaption>
      <div
        className={props.isOld ? 'panel-body old' : 'panel-body'}
        style={{ minHeight: heightPx }}
      >
        {content(props, rows, isTable)}
      </div>
    </figure>
  );
}

function content<Row extends object>(
  props: PanelProps<Row>,
  rows: readonly Row[] | undefined,
  isTable: boolean,
): ReactNode {
  if (rows === undefined) {
    if (props.error === null)
      return <div className="skeleton" role="status" aria-label="Loading" />;
    return (
      <div className="state" role="alert">
        <p>{props.error.message}</p>
        <button type="button" onClick={props.onRetry}>
          Try again
        </button>
      </div>
    );
  }
  if (props.isEmpty ?? rows.length === 0) {
    return <p className="state">{props.empty ?? NOTHING}</p>;
  }
  if (isTable) return <DataTable rows={rows} columns={props.columns} caption={props.title} />;
  return props.children(rows);
}
