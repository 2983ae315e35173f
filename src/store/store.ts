/**
 * The store: ClickHouse over its HTTP protocol, whichever it is (the embedded engine or a server).
 * It knows table names and plain rows; what a row means is the business of `process/` and `query/`.
 */

export type Value = string | number | boolean | null | Value[] | { [name: string]: Value };

/** Values in the order of the columns, or the same as the text of a JSON array. */
export type InsertRow = Value[] | string;

export interface Store {
  /** Applies the files of schema/ that this database has not seen, in order, each once. */
  migrate(): Promise<void>;

  /**
   * Inserts `rows` (in the order of `columns`) as one block and one part, and resolves when the
   * store has confirmed it on disk.
   * @param group Which inserts `settle` ends together: letters, digits, `_` and `-`; by default the
   *   name of the table.
   * @throws AppError `store_refused` when the store said no and nothing was inserted;
   *   `store_ambiguous` when it is not known (cut connection, timeout), or it is not the rows' fault
   *   (too many parts): call `settle` and look;
   *   `taken_over` when the rows carry an `owner` that is not the last one of their partition.
   */
  insert(
    table: string,
    columns: readonly string[],
    rows: readonly InsertRow[],
    group?: string,
  ): Promise<void>;

  /**
   * Ends what still runs of these groups in this database, whichever client has sent it, and
   * resolves when the store says that nothing of it is left.
   * @throws AppError `store_ambiguous` when that does not come about in time; else as `select`.
   */
  settle(groups: readonly string[]): Promise<void>;

  /**
   * Rows of one SELECT. `params` are bound to `{name:Type}` in the SQL, never pasted.
   * 64-bit integers come as numbers, `Decimal` as text, times as text in UTC.
   * @throws AppError `store_refused` with the store's own message, or `store_unreachable`.
   */
  select<Row>(
    sql: string,
    params?: Readonly<Record<string, Value>>,
    options?: SelectOptions,
  ): Promise<Row[]>;

  /** As `select`, with the names and ClickHouse types of the columns. */
  query<Row>(
    sql: string,
    params?: Readonly<Record<string, Value>>,
    options?: SelectOptions,
  ): Promise<{ columns: { name: string; type: string }[]; rows: Row[] }>;

  /**
   * Runs one statement that answers nothing, `params` bound; one that inserts, in a group of inserts.
   * @throws AppError as `select`.
   */
  command(sql: string, params?: Readonly<Record<string, Value>>, group?: string): Promise<void>;

  /** True when the store answers. */
  ping(): Promise<boolean>;

  close(): Promise<void>;
}

export interface SelectOptions {
  /** The query is ended by the store after this long. Default 30,000. */
  timeoutMs?: number;
  signal?: AbortSignal;
}
