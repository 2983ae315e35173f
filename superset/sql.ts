/**
 * The SQL of a chart of the bundle, as Superset makes it of the chart's and the dataset's files: for
 * the checks that need no Superset.
 */

export interface Dataset {
  table_name: string;
  uuid: string;
  database_uuid: string;
  main_dttm_col: string;
  sql: string | null;
  columns: { column_name: string; expression?: string }[];
  metrics: { metric_name: string; expression: string }[];
}

export interface Chart {
  slice_name: string;
  uuid: string;
  dataset_uuid: string;
  viz_type: string;
  params: {
    viz_type: string;
    x_axis?: string;
    x_axis_title?: string;
    y_axis_title?: string;
    y_axis_bounds?: (number | null)[];
    truncateYAxis?: boolean;
    orientation?: string;
    allow_render_html?: boolean;
    time_grain_sqla?: keyof typeof GRAINS;
    groupby?: string[];
    source?: string;
    target?: string;
    metric?: string;
    metrics?: string[];
    adhoc_filters: { subject?: string; comparator?: string; sqlExpression?: string }[];
  };
}

const GRAINS = { PT1M: 'toStartOfMinute', P1D: 'toStartOfDay' };

/**
 * @param fromMs of the time range, in; `toMs` is out
 * @param where further conditions
 * @throws Error that names a column or metric which the dataset does not have.
 */
export function chartSql(
  { slice_name, params }: Chart,
  dataset: Dataset,
  fromMs: number,
  toMs: number,
  where = '',
): string {
  function column(name: string): string {
    const found = dataset.columns.find(({ column_name }) => column_name === name);
    if (found === undefined) throw new Error(`${slice_name}: ${dataset.table_name} has no ${name}`);
    return found.expression ?? name;
  }
  function metric(name: string): string {
    const found = dataset.metrics.find(({ metric_name }) => metric_name === name);
    if (found === undefined) throw new Error(`${slice_name}: ${dataset.table_name} has no ${name}`);
    return found.expression;
  }
  const { x_axis, time_grain_sqla: grain, groupby = [], source, target } = params;
  const names = [x_axis, ...groupby, source, target].filter((name) => name !== undefined);
  const dimensions = names.map((name) =>
    name === x_axis && grain !== undefined ? `${GRAINS[grain]}(${column(name)})` : column(name),
  );
  const metrics = params.metrics ?? (params.metric === undefined ? [] : [params.metric]);
  const answers = [...dimensions, ...metrics.map(metric)].map((sql, i) => `${sql} AS answer_${i}`);
  const time = dataset.main_dttm_col;
  const [from, to] = [fromMs, toMs].map((ms) => `fromUnixTimestamp64Milli(${ms}, 'UTC')`);
  const conditions = [
    `${time} >= ${from} AND ${time} < ${to}`,
    ...params.adhoc_filters.flatMap(({ sqlExpression }) => sqlExpression ?? []),
    ...(where === '' ? [] : [where]),
  ];
  const of = dataset.sql === null ? dataset.table_name : `(${rendered(dataset.sql, fromMs, toMs)})`;
  return `SELECT ${answers.join(', ')} FROM ${of}
    WHERE ${conditions.map((sql) => `(${sql})`).join(' AND ')}
    ${names.length === 0 ? '' : `GROUP BY ${dimensions.map((_, i) => `answer_${i}`).join(', ')}`}`;
}

/** Of the templates that the datasets use: the bounds of the time range. */
function rendered(sql: string, fromMs: number, toMs: number): string {
  const text = (ms: number) => new Date(ms).toISOString().slice(0, 19).replace('T', ' ');
  return sql
    .replaceAll(/\{% (if \w+|endif) %\}/g, '')
    .replaceAll('{{ from_dttm }}', text(fromMs))
    .replaceAll('{{ to_dttm }}', text(toMs));
}
