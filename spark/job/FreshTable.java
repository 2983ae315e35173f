/*
 * The table that a history job fills: the months of `records` that it is about, as they are, without
 * the rows that are made again. docs/decisions/0010-spark.md
 */
package clickstream;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;

final class FreshTable {
  private static final String TABLES = "records_fresh_";
  /** Places that are copied by one statement: the embedded engine inserts nothing else meanwhile. */
  private static final long COPY_PLACES = 1 << 17;
  /** Places that are compared by one statement. */
  private static final long COMPARE_PLACES = 1 << 20;
  private static final long LOOK_AGAIN_MS = 250;

  private final Store store;
  /** A condition of the rows that are made again. */
  private final String again;
  private String name;

  /** @param number the table's own, of the job that holds the partitions */
  FreshTable(Store store, long number, String again) {
    this.store = store;
    this.again = again;
    this.name = TABLES + number;
  }

  String name() {
    return name;
  }

  /**
   * From its return on no other job has a table: what it would still do is refused.
   *
   * @return the numbers of those that had one
   */
  List<Long> create() throws InterruptedException {
    store.command("CREATE TABLE " + name + " AS records");
    // Rows keep the number of who wrote them.
    store.command("ALTER TABLE " + name + " DROP CONSTRAINT fence");
    var others =
        store.select(
            "SELECT name FROM system.tables WHERE database = currentDatabase()"
                + " AND startsWith(name, {tables:String}) AND name != {own:String}",
            Map.of("tables", TABLES, "own", name));
    List<Long> numbers = new ArrayList<>();
    for (JsonNode other : others) {
      String table = other.get(0).asText();
      drop(table);
      numbers.add(Long.parseLong(table.substring(TABLES.length()).split("_")[0]));
    }
    return numbers;
  }

  /** From its return on nothing of an executor comes in any more, however late it wakes up. */
  void close() throws InterruptedException {
    String open = name;
    store.command("RENAME TABLE " + open + " TO " + open + "_whole");
    name = open + "_whole";
    store.settle(List.of(open));
  }

  void drop() throws InterruptedException {
    drop(name);
  }

  private void drop(String table) throws InterruptedException {
    store.command("DROP TABLE IF EXISTS " + table + " SYNC SETTINGS max_table_size_to_drop = 0");
  }

  /** Of the rows that are to be made again. */
  List<String> monthsBefore() throws InterruptedException {
    return monthsOf("records", again);
  }

  List<String> months() throws InterruptedException {
    return monthsOf(name, "1");
  }

  private List<String> monthsOf(String table, String where) throws InterruptedException {
    return store
        .select(
            "SELECT DISTINCT toString(toYYYYMM(received_at)) AS month FROM %s WHERE %s ORDER BY month"
                .formatted(table, where),
            Map.of())
        .stream()
        .map((row) -> row.get(0).asText())
        .toList();
  }

  static String inMonths(Set<String> months) {
    return months.isEmpty() ? "0" : "toYYYYMM(received_at) IN (" + String.join(", ", months) + ")";
  }

  /** As it is now, in one step: the same files under another name. */
  void attach(String month) throws InterruptedException {
    store.command("ALTER TABLE %s ATTACH PARTITION ID '%s' FROM records".formatted(name, month));
  }

  void deleteAgain() throws InterruptedException {
    delete(name, again);
  }

  /** A mutation takes as long as it takes, and inserts must not wait for it. */
  private void delete(String table, String where) throws InterruptedException {
    store.command("ALTER TABLE " + table + " DELETE WHERE " + where);
    for (; ; ) {
      var open =
          store.select(
              "SELECT latest_fail_reason FROM system.mutations WHERE database = currentDatabase()"
                  + " AND table = {table:String} AND NOT is_done",
              Map.of("table", table));
      if (open.isEmpty()) return;
      String reason = open.get(0).get(0).asText();
      if (!reason.isEmpty())
        throw new Topic.Refused("The store cannot delete rows (" + reason + ").");
      TimeUnit.MILLISECONDS.sleep(LOOK_AGAIN_MS);
    }
  }

  void deleteErased(String table) throws InterruptedException {
    String where =
        "(log_id, log_partition, log_offset) IN"
            + " (SELECT log_id, log_partition, log_offset FROM removals WHERE kind = 'erased')";
    // A mutation reads all of the table, also for nothing.
    if (number("SELECT count() FROM " + table + " WHERE " + where) > 0) delete(table, where);
  }

  /**
   * Every place of the range that had a row has one now, and none has two. In pieces.
   *
   * @throws Topic.Refused when it is not so
   */
  void refuseUnlessWhole(int logId, History.Range range, String ofMonths) throws InterruptedException {
    for (long from = range.from(); from < range.to(); from += COMPARE_PLACES) {
      long to = Math.min(range.to(), from + COMPARE_PLACES);
      String piece = new History.Range(range.partition(), from, to).where();
      String places = " WHERE log_id = " + logId + " AND " + piece;
      JsonNode wrong =
          store
              .select(
                  "SELECT countIf(has(kinds, 1) AND NOT has(kinds, 2) AND NOT has(kinds, 3)),"
                      + " countIf(countEqual(kinds, 2) > 1)"
                      + " FROM (SELECT log_offset, groupArray(kind) AS kinds FROM ("
                      + ("SELECT log_offset, 1 AS kind FROM records" + places + " AND " + ofMonths)
                      + (" UNION ALL SELECT log_offset, 2 FROM " + name + places)
                      + (" UNION ALL SELECT log_offset, 3 FROM removals" + places)
                      + " AND removals.kind = 'erased') GROUP BY log_offset)",
                  Map.of())
              .get(0);
      if (wrong.get(0).asLong() + wrong.get(1).asLong() > 0)
        throw new Topic.Refused(
            "Of partition %d the fresh table lacks %s places and has %s twice."
                .formatted(range.partition(), wrong.get(0), wrong.get(1)));
    }
  }

  /** What has come in since the month was attached. */
  void copy(String month) throws InterruptedException {
    String ofMonth = "toYYYYMM(received_at) = " + month;
    String ends = "SELECT log_id, log_partition, max(log_offset) + 1 FROM %s WHERE %s GROUP BY ALL";
    Map<String, Long> copied = new HashMap<>();
    String at = "log_id = %s AND log_partition = %s";
    for (JsonNode end : store.select(ends.formatted(name, ofMonth), Map.of()))
      copied.put(at.formatted(end.get(0), end.get(1)), end.get(2).asLong());
    for (JsonNode end : store.select(ends.formatted("records", ofMonth), Map.of())) {
      String of = at.formatted(end.get(0), end.get(1));
      long past = end.get(2).asLong();
      for (long from = copied.getOrDefault(of, 0L); from < past; from += COPY_PLACES)
        store.command(
            "INSERT INTO %s SELECT * FROM records WHERE %s AND %s AND log_offset >= %d AND log_offset < %d AND NOT %s"
                .formatted(name, ofMonth, of, from, Math.min(past, from + COPY_PLACES), again));
    }
  }

  /** All other rows of the month are those that `records` has now. */
  boolean isSame(String month) throws InterruptedException {
    String sums =
        "SELECT count(), sum(cityHash64(outcome, log_id, log_partition, log_offset, batch_id))"
            + " FROM %s WHERE toYYYYMM(received_at) = %s AND NOT %s";
    JsonNode before = store.select(sums.formatted("records", month, again), Map.of()).get(0);
    return store.select(sums.formatted(name, month, again), Map.of()).get(0).equals(before);
  }

  /** Rows of a month, and those of them that are made again. */
  JsonNode counts(String month) throws InterruptedException {
    String counts = "SELECT count(), countIf(%s) FROM %s WHERE toYYYYMM(received_at) = %s";
    return store.select(counts.formatted(again, name, month), Map.of()).get(0);
  }

  private long number(String sql) throws InterruptedException {
    return store.select(sql, Map.of()).get(0).get(0).asLong();
  }
}
