/*
 * Records of a range of time once more: into a fresh table, which then takes the place of the months
 * that it is of, each in one step. What became of a place stays as it is: a stored event stays stored,
 * a repeated one repeated. A refused one, or a place without a row, is decided anew, and is never
 * stored beside a copy. docs/decisions/0010-spark.md
 */
package clickstream;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.spark.api.java.function.MapPartitionsFunction;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;

final class History {
  private static final String FRESH = "records_fresh";
  /** Places that are copied at once: the embedded engine does nothing else meanwhile. */
  private static final long COPY_PLACES = 1 << 20;
  private static final long HOLDER_MAX = (1L << 48) - 1;

  /** Offsets of a partition, from one to before another. */
  private record Range(int partition, long from, long to) implements java.io.Serializable {}

  private final Settings settings;
  private final SparkSession spark;
  private final Topic topic;
  private final Store store;
  private final Records records;
  private final int logId;

  History(Settings settings, SparkSession spark, Topic topic) throws InterruptedException {
    this.settings = settings;
    this.spark = spark;
    this.topic = topic;
    this.store = new Store(settings.store());
    this.records = new Records(store);
    this.logId = records.registerLog(topic.id);
  }

  /** @param times of the append, in ms since 1970, from the first to before the second */
  void run(Settings.Times times) throws InterruptedException {
    List<Range> ranges = ranges(times);
    if (ranges.isEmpty()) throw new Topic.Refused("The topic has no processed records of that time.");
    store.command("DROP TABLE IF EXISTS " + FRESH + " SYNC");
    store.command("CREATE TABLE " + FRESH + " AS records");
    // Rows keep the number of who wrote them.
    store.command("ALTER TABLE " + FRESH + " DROP CONSTRAINT fence");
    say("processing " + ranges.stream().mapToLong((range) -> range.to - range.from).sum() + " records again");
    process(ranges);
    String inRanges = inRanges(ranges);
    List<String> months = months(inRanges);
    Map<String, Long> copiedTo = new HashMap<>();
    copy(months, inRanges, copiedTo);
    swap(months, inRanges, copiedTo);
    store.command("DROP TABLE " + FRESH + " SYNC");
  }

  private List<Range> ranges(Settings.Times times) throws InterruptedException {
    // What a time limit took out stays out.
    long limitMs =
        store
            .select(
                "SELECT toUnixTimestamp64Milli(max(expired_before)) FROM removals WHERE kind = 'expired'",
                Map.of())
            .get(0)
            .get(0)
            .asLong();
    long fromMs = Math.max(times.fromMs(), limitMs);
    Map<Integer, Long> from = topic.offsets(OffsetSpec.forTimestamp(fromMs));
    Map<Integer, Long> to = topic.offsets(OffsetSpec.forTimestamp(times.toMs()));
    List<Range> ranges = new ArrayList<>();
    for (int partition = 0; partition < topic.partitions; partition++) {
      // What is not stored yet is the business of who processes the topic.
      long done = topic.committedTo(partition);
      long first = from.get(partition) < 0 ? done : from.get(partition);
      long past = Math.min(done, to.get(partition) < 0 ? done : to.get(partition));
      if (first < past) ranges.add(new Range(partition, first, past));
    }
    return ranges;
  }

  private void process(List<Range> ranges) {
    Tasks tasks = new Tasks(settings, logId);
    var source =
        spark
            .read()
            .format("kafka")
            .option("kafka.bootstrap.servers", settings.kafka().brokers())
            .option("assign", json(ranges, (range) -> "" + range.partition))
            .option("startingOffsets", json(ranges, (range) -> "\"" + range.partition + "\":" + range.from))
            .option("endingOffsets", json(ranges, (range) -> "\"" + range.partition + "\":" + range.to))
            .option("failOnDataLoss", true);
    settings.kafka().client().forEach((name, value) -> source.option("kafka." + name, value));
    source
        .load()
        .selectExpr("partition", "offset", "unix_millis(timestamp) AS ms", "value")
        .mapPartitions(tasks, Encoders.LONG())
        .collectAsList();
  }

  private String json(List<Range> ranges, java.util.function.Function<Range, String> part) {
    String all = String.join(",", ranges.stream().map(part).toList());
    boolean isObject = all.startsWith("\"");
    return "{\"" + topic.name() + "\":" + (isObject ? "{" + all + "}" : "[" + all + "]") + "}";
  }

  private String inRanges(List<Range> ranges) {
    return "(log_id = "
        + logId
        + " AND ("
        + String.join(
            " OR ",
            ranges.stream()
                .map((range) -> "log_partition = %d AND log_offset >= %d AND log_offset < %d".formatted(range.partition, range.from, range.to))
                .toList())
        + "))";
  }

  /** Of the rows of before and of now. */
  private List<String> months(String inRanges) throws InterruptedException {
    return store
        .select(
            "SELECT DISTINCT toString(toYYYYMM(received_at)) AS month FROM records WHERE "
                + inRanges
                + " UNION DISTINCT SELECT DISTINCT toString(toYYYYMM(received_at)) FROM "
                + FRESH
                + " ORDER BY month",
            Map.of())
        .stream()
        .map((row) -> row.get(0).asText())
        .toList();
  }

  /** The other rows of these months, from where the last copy ended; notes how far it came. */
  private void copy(List<String> months, String inRanges, Map<String, Long> copiedTo)
      throws InterruptedException {
    String ofMonths = "toYYYYMM(received_at) IN (" + String.join(", ", months) + ")";
    var ends =
        store.select(
            "SELECT log_id, log_partition, min(log_offset), max(log_offset) + 1 FROM records WHERE "
                + ofMonths
                + " GROUP BY ALL ORDER BY ALL",
            Map.of());
    for (JsonNode end : ends) {
      String at = "log_id = %s AND log_partition = %s".formatted(end.get(0), end.get(1));
      long past = end.get(3).asLong();
      long from = copiedTo.getOrDefault(at, end.get(2).asLong());
      for (; from < past; from += COPY_PLACES) {
        store.command(
            "INSERT INTO %s SELECT * FROM records WHERE %s AND %s AND log_offset >= %d AND log_offset < %d AND NOT %s"
                .formatted(FRESH, ofMonths, at, from, Math.min(past, from + COPY_PLACES), inRanges));
      }
      copiedTo.put(at, past);
    }
  }

  /** While nobody writes: the last rows, what was erased meanwhile, and the months in one step each. */
  private void swap(List<String> months, String inRanges, Map<String, Long> copiedTo)
      throws InterruptedException {
    long holder = ThreadLocalRandom.current().nextLong(Records.HOLDER_MIN, HOLDER_MAX);
    for (int partition = 0; partition < topic.partitions; partition++)
      records.takeOver(logId, partition, holder);
    try {
      copy(months, inRanges, copiedTo);
      deleteErased(FRESH);
      refuseUnlessWhole(months);
      for (int partition = 0; partition < topic.partitions; partition++)
        if (records.ownerOf(logId, partition) != holder)
          throw new Topic.Refused("Another one works on what is stored: try again when it has ended.");
      for (String month : months) {
        store.command("ALTER TABLE records REPLACE PARTITION " + month + " FROM " + FRESH);
        say("month " + month + " is swapped in");
      }
      // Who began to erase in this moment has recorded it first.
      deleteErased("records");
    } finally {
      for (int partition = 0; partition < topic.partitions; partition++)
        records.takeOver(logId, partition, 0);
    }
  }

  private void deleteErased(String table) throws InterruptedException {
    store.command(
        "ALTER TABLE "
            + table
            + " DELETE WHERE (log_id, log_partition, log_offset) IN"
            + " (SELECT log_id, log_partition, log_offset FROM removals WHERE kind = 'erased')"
            + " SETTINGS mutations_sync = 1");
  }

  /** Every place that is stored is in the fresh table, and none of them twice. */
  private void refuseUnlessWhole(List<String> months) throws InterruptedException {
    String ofMonths = " WHERE toYYYYMM(received_at) IN (" + String.join(", ", months) + ")";
    String place = "(log_id, log_partition, log_offset)";
    JsonNode sums =
        store
            .select(
                "SELECT count(), uniqExact(%s), (SELECT count() FROM records %s AND %s NOT IN (SELECT %s FROM %s)) FROM %s"
                    .formatted(place, ofMonths, place, place, FRESH, FRESH),
                Map.of())
            .get(0);
    boolean isWhole = sums.get(0).asLong() == sums.get(1).asLong() && sums.get(2).asLong() == 0;
    if (!isWhole)
      throw new IllegalStateException("the fresh table has rows, places, and lacks: " + sums);
  }

  private static void say(String what) {
    System.out.println("clickstream: " + what);
  }

  /** What runs in the executors. */
  private record Tasks(Settings settings, int logId) implements MapPartitionsFunction<Row, Long> {
    @Override
    public Iterator<Long> call(Iterator<Row> rows) throws Exception {
      Store store = new Store(settings.store());
      Set<String> stored = new HashSet<>();
      long done = 0;
      while (rows.hasNext()) {
        List<LogRecord> part = new ArrayList<>();
        int partition = -1;
        for (long bytes = 0;
            rows.hasNext() && part.size() < settings.batchRows() && bytes < settings.batchBytes(); ) {
          Row row = rows.next();
          partition = row.getInt(0);
          part.add(new LogRecord(row.getLong(1), row.getLong(2), Job.bytesOf(row)));
          bytes += part.get(part.size() - 1).bytes().length;
        }
        Set<String> before = Set.copyOf(stored);
        while (!isInserted(store, partition, part, stored)) {
          stored.clear();
          stored.addAll(before);
        }
        done += part.size();
      }
      return List.of(done).iterator();
    }

    /** False when the store has refused a row: decide again, with what is in by now. */
    private boolean isInserted(Store store, int partition, List<LogRecord> part, Set<String> stored)
        throws InterruptedException {
      Records records = new Records(store);
      long from = part.get(0).offset();
      long to = part.get(part.size() - 1).offset() + 1;
      Map<String, Object> range = Map.of("log", logId, "partition", partition, "from", from, "to", to);
      String places =
          " WHERE log_id = {log:UInt32} AND log_partition = {partition:UInt16}"
              + " AND log_offset >= {from:UInt64} AND log_offset < {to:UInt64}";
      // An attempt of before may have come so far.
      Set<Long> taken = new HashSet<>();
      store
          .select("SELECT log_offset FROM " + FRESH + places + " UNION ALL SELECT log_offset FROM removals" + places + " AND kind = 'erased'", range)
          .forEach((row) -> taken.add(row.get(0).asLong()));
      Map<Long, JsonNode> held = new HashMap<>();
      store
          .select("SELECT log_offset, toString(outcome), batch_id, owner FROM records" + places, range)
          .forEach((row) -> held.put(row.get(0).asLong(), row));
      List<Decoded> decoded = part.stream().map(Mapping::decode).toList();
      Map<String, List<Records.Copy>> copies = copies(records, partition, decoded, held);
      Part fresh = new Part();
      for (Decoded each : decoded) {
        LogRecord record = each.record();
        if (taken.contains(record.offset())) continue;
        JsonNode row = held.get(record.offset());
        String was = row == null ? "" : row.get(1).asText();
        boolean isNew = was.isEmpty() || was.equals("rejected");
        String key = each.isEvent() ? Window.keyOf(each.projectId(), each.eventId()) : null;
        boolean isRepeated =
            isNew
                ? key != null && (stored.contains(key) || hasCopy(copies.get(key), record))
                : was.equals("duplicate");
        int batchId = row == null ? 0 : row.get(2).asInt();
        long owner = row == null ? 0 : row.get(3).asLong();
        Place place = new Place(logId, partition, record.offset(), batchId, owner);
        Outcome outcome = fresh.add(each, isRepeated, place);
        if (isNew && outcome == Outcome.STORED) stored.add(key);
      }
      return fresh.isEmpty()
          || fresh.isInserted((lines) -> store.insert(FRESH, Mapping.COLUMNS, lines, FRESH, 0));
    }

    /** Of events that were not stored: copies in the store, before them or after. */
    private Map<String, List<Records.Copy>> copies(
        Records records, int partition, List<Decoded> decoded, Map<Long, JsonNode> held)
        throws InterruptedException {
      List<Decoded> open = new ArrayList<>();
      long oldestMs = Long.MAX_VALUE;
      for (Decoded each : decoded) {
        JsonNode row = held.get(each.record().offset());
        boolean isNew = row == null || row.get(1).asText().equals("rejected");
        if (!isNew || !each.isEvent()) continue;
        open.add(each);
        oldestMs = Math.min(oldestMs, each.record().timeMs());
      }
      return open.isEmpty()
          ? Map.of()
          : records.copies(logId, partition, open, oldestMs - settings.windowMs());
    }

    private boolean hasCopy(List<Records.Copy> copies, LogRecord record) {
      return copies != null
          && copies.stream()
              .anyMatch((copy) -> Math.abs(copy.timeMs() - record.timeMs()) < settings.windowMs());
    }
  }
}
