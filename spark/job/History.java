/*
 * Records of a range of time once more: into a fresh table, whose months then take the place of those
 * of `records`, each in one step. Who is dead, late or a second one breaks nothing: each job has a
 * table of its own, and the step is refused unless the job still holds every partition.
 * docs/decisions/0010-spark.md
 */
package clickstream;

import static org.apache.spark.sql.functions.max;
import static org.apache.spark.sql.functions.min;

import clickstream.Store.StoreException;
import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Function;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

final class History {
  private static final Logger LOG = LoggerFactory.getLogger(History.class);
  private static final long HOLDER_MAX = 1L << 48;
  private static final long SAY_EVERY_MS = 10_000;
  /** Of a month, when processors have not waited for it. */
  private static final int TRIES = 5;
  /** Those that have just gone on take their partitions over: a hold of that moment would be lost again. */
  private static final long AGAIN_MS = 2_000;

  /** Offsets of a partition, from one to before another. */
  record Range(int partition, long from, long to) {
    String where() {
      return "log_partition = %d AND log_offset >= %d AND log_offset < %d".formatted(partition, from, to);
    }
  }

  private final Settings settings;
  private final SparkSession spark;
  private final Topic topic;
  private final Store store;
  private final Records records;
  private final int logId;
  private final long holder = ThreadLocalRandom.current().nextLong(Records.HOLDER_MIN, HOLDER_MAX);
  private final List<String> swapped = new ArrayList<>();
  private long limitMs;
  private List<Range> ranges;
  private FreshTable fresh;

  History(Settings settings, SparkSession spark, Topic topic) throws InterruptedException {
    this.settings = settings;
    this.spark = spark;
    this.topic = topic;
    this.store = new Store(settings.store());
    this.records = new Records(store);
    this.logId = records.registerLog(topic.id);
  }

  /**
   * @param times of the append, in ms since 1970, from the first to before the second
   * @throws Topic.Refused in one sentence that says how it is
   */
  void run(Settings.Times times) throws InterruptedException {
    limitMs = limitMs();
    ranges = ranges(times);
    if (ranges.isEmpty())
      throw new Topic.Refused("The topic has no processed records of that time (any more).");
    String where = joined(" OR ", ranges, Range::where);
    fresh = new FreshTable(store, holder, "(log_id = " + logId + " AND (" + where + "))");
    try {
      refuseOtherLogs();
      replaceMonths();
    } catch (StoreException | Topic.Refused trouble) {
      LOG.error("it ends", trouble);
      throw new Topic.Refused(trouble.getMessage() + " " + howFar());
    } finally {
      drop();
    }
  }

  private void drop() throws InterruptedException {
    try {
      fresh.drop();
    } catch (StoreException trouble) {
      LOG.error("the table is left", trouble);
      say("the table " + fresh.name() + " is left in the store: the next job of history drops it");
    }
  }

  private void replaceMonths() throws InterruptedException {
    for (long dead : fresh.create()) {
      say("a job of before had not ended: its table is dropped");
      release(dead);
    }
    Set<String> months = new TreeSet<>(fresh.monthsBefore());
    for (String month : months) fresh.attach(month);
    fresh.deleteAgain();
    long total = ranges.stream().mapToLong((range) -> range.to - range.from).sum();
    say("processing " + total + " records again, of the months " + String.join(", ", months));
    process(total, FreshTable.inMonths(months));
    fresh.close();
    // A row may be of another month now.
    for (String month : fresh.months()) if (months.add(month)) fresh.attach(month);
    for (Range range : ranges)
      fresh.refuseUnlessWhole(logId, range, FreshTable.inMonths(months));
    for (String month : months) swap(month);
    say("done: " + total + " records were processed again, swapped in: " + String.join(", ", swapped));
  }

  private String howFar() {
    return swapped.isEmpty()
        ? "Nothing was swapped in: run it again."
        : "Only months " + String.join(", ", swapped) + " were swapped in: run it again.";
  }

  /**
   * From the first record of that time to the last, in each partition. What was put on a spool, or came
   * from a clock that is ahead, has others around it: these are processed again as well.
   */
  private List<Range> ranges(Settings.Times times) throws InterruptedException {
    // What a time limit took out stays out.
    long fromMs = Math.max(times.fromMs(), limitMs);
    Map<Integer, Long> from = topic.offsets(OffsetSpec.forTimestamp(fromMs));
    Map<Integer, Long> starts = topic.offsets(OffsetSpec.earliest());
    List<Range> possible = new ArrayList<>();
    for (int partition = 0; partition < topic.partitions; partition++) {
      // What is not stored yet is the business of who processes the topic.
      long committed = topic.committedTo(partition);
      Records.LastPlace last = records.last(logId, partition, Math.max(0, committed - 1));
      long done = last == null ? committed : Math.max(committed, last.offset() + 1);
      long first = from.get(partition);
      if (first < 0 || first >= done) continue;
      possible.add(new Range(partition, first, done));
      if (first > 0 && first == starts.get(partition))
        say("of partition %d the topic has no records before %d any more: older rows stay as they are".formatted(partition, first));
    }
    if (possible.isEmpty()) return List.of();
    return read(possible)
        .where("ms >= " + fromMs + " AND ms < " + times.toMs())
        .groupBy("partition")
        .agg(min("offset"), max("offset"))
        .sort("partition")
        .collectAsList()
        .stream()
        .map((row) -> new Range(row.getInt(0), row.getLong(1), row.getLong(2) + 1))
        .toList();
  }

  /** Rows of before this time were taken out. */
  private long limitMs() throws InterruptedException {
    return number(
        "SELECT toUnixTimestamp64Milli(max(expired_before)) FROM removals WHERE kind = 'expired'");
  }

  /** Who processes another log cannot be made to wait, and must not insert in the moment of a swap. */
  private void refuseOtherLogs() throws InterruptedException {
    long rows =
        number(
            "SELECT count() FROM records WHERE received_at > now64(3, 'UTC') - INTERVAL 1 HOUR AND log_id != "
                + logId);
    if (rows > 0)
      throw new Topic.Refused(
          "Events of another log have come in within the last hour: stop what processes it, and run this again an hour later.");
  }

  private void process(long total, String ofMonths) throws InterruptedException {
    Dataset<Long> done =
        read(ranges)
            .mapPartitions(
                new HistoryTasks(settings, logId, fresh.name(), ofMonths, limitMs), Encoders.LONG());
    String rows =
        "SELECT sum(rows) FROM system.parts WHERE active AND database = currentDatabase() AND table = '"
            + fresh.name()
            + "'";
    long others = number(rows);
    CompletableFuture<List<Long>> all = CompletableFuture.supplyAsync(done::collectAsList);
    for (; ; ) {
      try {
        all.get(SAY_EVERY_MS, TimeUnit.MILLISECONDS);
        return;
      } catch (TimeoutException e) {
        say(number(rows) - others + " of " + total + " records are done");
      } catch (ExecutionException e) {
        LOG.error("the records were not all processed", e.getCause());
        Throwable root = e.getCause();
        while (root.getCause() != null) root = root.getCause();
        String why = String.valueOf(root.getMessage()).lines().findFirst().orElse("");
        throw new Topic.Refused("Not all records could be processed (" + why + ").");
      }
    }
  }

  /** One task for each partition, with its records in their order. */
  private Dataset<Row> read(List<Range> of) {
    Map<Integer, Long> from = new TreeMap<>();
    Map<Integer, Long> to = new TreeMap<>();
    for (Range range : of) {
      from.put(range.partition, range.from);
      to.put(range.partition, range.to);
    }
    return spark
        .read()
        .format("kafka")
        .options(topic.source(from))
        .option("endingOffsets", topic.json(to))
        .load()
        .selectExpr(Topic.COLUMNS);
  }

  private void swap(String month) throws InterruptedException {
    fresh.deleteErased(fresh.name());
    fresh.copy(month);
    boolean isSwapped = false;
    for (int i = 0; i < TRIES; i++) {
      try {
        hold();
        // While nobody writes: what came in, and what was erased.
        fresh.copy(month);
        fresh.deleteErased(fresh.name());
        boolean isSame = fresh.isSame(month) && limitMs() == limitMs;
        // Who has not waited may have written since the copy: that is no reason to give up.
        if (!isSame && isHeld())
          throw new Topic.Refused("Rows of month " + month + " were taken out, or mended, meanwhile.");
        refuseOtherLogs();
        isSwapped = isSame && isReplaced(month);
      } finally {
        release(holder);
      }
      if (isSwapped) break;
      say("others have not waited for month " + month + ": it was not swapped in");
      TimeUnit.MILLISECONDS.sleep(AGAIN_MS);
    }
    if (!isSwapped) throw new Topic.Refused("The processors do not wait for as long as it takes.");
    swapped.add(month);
    JsonNode rows = fresh.counts(month);
    say("month %s is swapped in: %s rows, %s of them made again".formatted(month, rows.get(0), rows.get(1)));
    // Who began to erase in that moment has recorded it first, and has deleted what was there before.
    fresh.deleteErased("records");
  }

  private void hold() throws InterruptedException {
    for (int partition = 0; partition < topic.partitions; partition++) {
      records.ownerWhenFree(logId, partition);
      records.takeOver(logId, partition, holder);
    }
  }

  private void release(long number) throws InterruptedException {
    for (int partition = 0; partition < topic.partitions; partition++)
      if (records.ownerOf(logId, partition) == number) records.takeOver(logId, partition, 0);
  }

  /**
   * The same fence as of an INSERT: the store works the month out when it begins, and there is none
   * unless every partition is held by this job. Whoever has waited too long has taken them back, and
   * what it has written since is not lost.
   */
  private boolean isReplaced(String month) throws InterruptedException {
    List<String> held = new ArrayList<>();
    for (int partition = 0; partition < topic.partitions; partition++)
      held.add("joinGet('owners', 'owner', toUInt64(%d)) = %d".formatted(Records.keyOf(logId, partition), holder));
    try {
      store.command(
          "ALTER TABLE records REPLACE PARTITION tuple(if(%s, %s, throwIf(1))) FROM %s SETTINGS max_partition_size_to_drop = 0"
              .formatted(String.join(" AND ", held), month, fresh.name()));
      return true;
    } catch (StoreException refusal) {
      if (isHeld()) throw refusal;
      return false;
    }
  }

  private boolean isHeld() throws InterruptedException {
    for (int partition = 0; partition < topic.partitions; partition++)
      if (records.ownerOf(logId, partition) != holder) return false;
    return true;
  }

  private long number(String sql) throws InterruptedException {
    return store.select(sql, Map.of()).get(0).get(0).asLong();
  }

  private static <T> String joined(String between, List<T> all, Function<T, String> text) {
    return String.join(between, all.stream().map(text).toList());
  }

  private static void say(String what) {
    System.out.println("clickstream: " + what);
  }
}
