/**
 * The suite that every ClickHouse behind the store must pass, whichever it is.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Store } from './store.ts';

export interface StoreUnderTest {
  store: Store;
  close(): Promise<void>;
}

const COLUMNS = ['n', 'month', 'text', 'money', 'at'] as const;

/** The view's columns as the original system's table has them: names, types, order. */
const ORIGINAL = [
  'session_id String',
  'event_id String',
  'event_name String',
  "event_time DateTime('UTC')",
  'traffic_source Nullable(String)',
  'search_keywords Nullable(String)',
  'booking_id Nullable(String)',
  'customer_id Nullable(String)',
  'gender Nullable(String)',
  'birthdate Nullable(Date32)',
  'item_price Nullable(Float32)',
  'payment_method Nullable(String)',
  'payment_status Nullable(String)',
  'product_id Nullable(Int32)',
  'quantity Nullable(Int32)',
  'masterCategory Nullable(String)',
  'subCategory Nullable(String)',
  'batch_id Int32',
];

export function storeContract(name: string, open: () => Promise<StoreUnderTest>): void {
  let opened: StoreUnderTest;
  let store: Store;

  before(async () => {
    opened = await open();
    store = opened.store;
    await store.migrate();
  });
  after(() => opened.close());

  let tables = 0;
  /** A table of its own for each test, with a partition a month. */
  async function table(): Promise<string> {
    const made = `contract_${process.pid}_${tables++}`;
    await store.command(
      `CREATE TABLE ${made} (n UInt64, month UInt8, text String, money Nullable(Decimal(18, 4)), at DateTime64(3, 'UTC'))
       ENGINE = MergeTree PARTITION BY month ORDER BY n`,
    );
    return made;
  }
  const row = (n: number, month = 1, text = 'x') => [
    n,
    month,
    text,
    '1.5',
    '2026-11-24 12:00:00.123',
  ];
  const count = async (from: string): Promise<number> =>
    (await store.select<{ c: number }>(`SELECT count() AS c FROM ${from}`))[0]?.c ?? -1;

  test(`${name}: migrating again changes nothing`, async () => {
    const before = await store.select('SELECT number, sha256 FROM migrations ORDER BY number');
    await store.migrate();
    assert.deepEqual(
      await store.select('SELECT number, sha256 FROM migrations ORDER BY number'),
      before,
    );
  });

  test(`${name}: a migration that ended between its statements and its record is done again`, async () => {
    const files = await count('migrations');
    await store.command(
      'ALTER TABLE migrations DELETE WHERE number >= 3 SETTINGS mutations_sync = 2',
    );
    await store.migrate();
    assert.equal(await count('migrations'), files);
  });

  test(`${name}: what a power failure may not take is synced, in parts that are merged too`, async () => {
    const tables = await store.select<{ name: string; made: string }>(
      "SELECT name, engine_full AS made FROM system.tables WHERE database = currentDatabase() AND name IN ('records', 'logs', 'migrations')",
    );
    assert.equal(tables.length, 3);
    for (const { name: table, made } of tables) {
      for (const setting of [
        'fsync_after_insert = 1',
        'fsync_part_directory = 1',
        'min_rows_to_fsync_after_merge = 1',
        'old_parts_lifetime = 480',
      ])
        assert.ok(made.includes(setting), `${table} ${setting}`);
    }
  });

  test(`${name}: a store of a newer version is refused`, async () => {
    await store.command("INSERT INTO migrations (number, name, sha256) VALUES (900, 'x', 'y')");
    await assert.rejects(store.migrate(), { code: 'data_newer' });
    await store.command(
      'ALTER TABLE migrations DELETE WHERE number = 900 SETTINGS mutations_sync = 2',
    );
  });

  test(`${name}: the view of the original table has its 18 columns`, async () => {
    const columns = await store.select<{ name: string; type: string }>(
      'DESCRIBE TABLE ecommerce_clickstream_data',
    );
    assert.deepEqual(
      columns.map((column) => `${column.name} ${column.type}`),
      ORIGINAL,
    );
  });

  test(`${name}: one insert is one part`, async () => {
    const made = await table();
    await store.insert(
      made,
      COLUMNS,
      Array.from({ length: 5_000 }, (_, i) => row(i)),
    );
    await store.insert(made, COLUMNS, [row(5_000)]);
    const parts = await store.select<{ rows: number }>(
      'SELECT rows FROM system.parts WHERE table = {made:String} AND active ORDER BY rows',
      { made },
    );
    assert.deepEqual(parts, [{ rows: 1 }, { rows: 5_000 }]);
  });

  test(`${name}: rows of two partitions are refused and none is inserted`, async () => {
    const made = await table();
    await assert.rejects(store.insert(made, COLUMNS, [row(1, 1), row(2, 2)]), {
      code: 'store_refused',
    });
    assert.equal(await count(made), 0);
  });

  test(`${name}: what is not taken because there are too many parts is not at fault`, async () => {
    const made = await table();
    await store.insert(made, COLUMNS, [row(1)]);
    await store.command(`ALTER TABLE ${made} MODIFY SETTING parts_to_throw_insert = 1`);
    await assert.rejects(store.insert(made, COLUMNS, [row(2)]), { code: 'store_ambiguous' });
    assert.equal(await count(made), 1);
  });

  test(`${name}: the same rows twice are rows twice: deciding is not the store's business`, async () => {
    const made = await table();
    await store.insert(made, COLUMNS, [row(1)]);
    await store.insert(made, COLUMNS, [row(1)]);
    assert.equal(await count(made), 2);
  });

  test(`${name}: an insert that cannot be read is refused whole`, async () => {
    const made = await table();
    const bad = [7, 1, 'x', 'not money', '2026-11-24 12:00:00.123'];
    await assert.rejects(store.insert(made, COLUMNS, [row(1), bad, row(2)]), {
      code: 'store_refused',
    });
    assert.equal(await count(made), 0);
  });

  test(`${name}: values at their edges come back as they went in`, async () => {
    const made = await table();
    const edges = [
      [
        Number.MAX_SAFE_INTEGER,
        1,
        '\\N \t\r\n "quoted" \' \u0001 ü€😀',
        '99999999999999.9999',
        '2000-01-01 00:00:00.000',
      ],
      [0, 1, '', null, '2299-12-31 23:59:59.999'],
      [1, 1, '[1,2]', '-0.0001', '1970-01-01 00:00:00.001'],
    ];
    await store.insert(made, COLUMNS, edges);
    const rows = await store.select<Record<string, unknown>>(`SELECT * FROM ${made}`);
    const back = edges.map(([n]) => Object.values(rows.find((r) => r.n === n) ?? {}));
    assert.deepEqual(back, edges);
  });

  test(`${name}: parameters are bound, whatever is in them`, async () => {
    for (const value of ["it's", 'a\\b', '\n\t', "') OR 1=1 --", '{x:String}', 'ü😀', '']) {
      const rows = await store.select(
        'SELECT {value:String} AS value, {list:Array(String)} AS list',
        {
          value,
          list: [value, 'x'],
        },
      );
      assert.deepEqual(rows, [{ value, list: [value, 'x'] }]);
    }
  });

  test(`${name}: columns come with their types`, async () => {
    const { columns } = await store.query('SELECT toUInt64(1) AS n, toDecimal64(1.5, 4) AS money');
    assert.deepEqual(columns, [
      { name: 'n', type: 'UInt64' },
      { name: 'money', type: 'Decimal(18, 4)' },
    ]);
  });

  test(`${name}: a question that takes too long is ended`, async () => {
    const sql = 'SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(sipHash64(number))';
    await assert.rejects(store.select(sql, {}, { timeoutMs: 1_000 }), { code: 'store_refused' });
  });

  test(`${name}: after settling no insert of before is still running`, async () => {
    const made = await table();
    const many = Array.from({ length: 20_000 }, (_, i) => row(i));
    const running = store.insert(made, COLUMNS, many).catch(() => undefined);
    await store.settle([made]);
    const seen = await count(made);
    await running;
    assert.ok(seen === 0 || seen === many.length, `${seen} rows`);
  });
}
