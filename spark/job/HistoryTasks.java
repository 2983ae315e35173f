/*
 * Records of a partition once more, in an executor: rows into the fresh table of a history job. What
 * became of a place stays as it is; a refused one, or a place without a row, is decided anew, and is
 * never stored beside a copy, before it or after. docs/decisions/0010-spark.md
 */
package clickstream;

import clickstream.Store.StoreException;
import clickstream.Window.Copy;
import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.apache.spark.api.java.function.MapPartitionsFunction;
import org.apache.spark.sql.Row;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * @param fresh the table that the rows go into
 * @param ofMonths a condition that all rows of these places in `records` meet
 * @param limitMs nothing older is put back: a time limit took it out
 */
record HistoryTasks(Settings settings, int logId, String fresh, String ofMonths, long limitMs)
    implements MapPartitionsFunction<Row, Long> {
  /** Places that are looked for at once: the store has no order by place, and reads whole months. */
  private static final long LOOK_PLACES = 100_000;
  private static final long RETRY_MS = 500;
  /** So long a task waits for a store in trouble; then Spark tries it again. */
  private static final long TROUBLE_MS_MAX = 60_000;
  private static final Logger LOG = LoggerFactory.getLogger(HistoryTasks.class);

  /** What is known of the places before `to`: those that are done or erased, and rows of before. */
  private record Look(long to, Set<Long> taken, Map<Long, JsonNode> held) {}

  @Override
  public Iterator<Long> call(Iterator<Row> rows) throws InterruptedException {
    Row next = rows.hasNext() ? rows.next() : null;
    if (next == null) return List.<Long>of().iterator();
    Work work = new Work(next.getInt(0));
    long done = 0;
    while (next != null) {
      List<LogRecord> part = new ArrayList<>();
      for (long bytes = 0;
          next != null && part.size() < settings.batchRows() && bytes < settings.batchBytes(); ) {
        part.add(Job.recordOf(next));
        bytes += part.get(part.size() - 1).bytes().length;
        next = rows.hasNext() ? rows.next() : null;
      }
      work.store(part);
      done += part.size();
    }
    return List.of(done).iterator();
  }

  /** One attempt. */
  private final class Work {
    private final Store store = new Store(settings.store());
    private final Records records = new Records(store);
    private final int partition;
    private final String group;
    /** Null when something may have come in since. */
    private Look look;

    Work(int partition) {
      this.partition = partition;
      this.group = fresh + "-" + partition;
    }

    void store(List<LogRecord> part) throws InterruptedException {
      List<Decoded> decoded = part.stream().map(Mapping::decode).toList();
      long untilNs = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(TROUBLE_MS_MAX);
      for (; ; ) {
        try {
          if (isInserted(decoded)) return;
        } catch (StoreException trouble) {
          if (System.nanoTime() > untilNs) throw trouble;
          LOG.warn("partition {}: {}", partition, trouble.getMessage());
          TimeUnit.MILLISECONDS.sleep(RETRY_MS);
        }
        look = null;
      }
    }

    /** False when the store has refused a row: decide again, with what is in by now. */
    private boolean isInserted(List<Decoded> decoded) throws InterruptedException {
      long from = decoded.get(0).record().offset();
      long to = decoded.get(decoded.size() - 1).record().offset() + 1;
      if (look == null || look.to < to) look = lookFor(from, Math.max(to, from + LOOK_PLACES));
      Map<String, List<Copy>> copies = copies(decoded);
      Map<String, Long> stored = new HashMap<>();
      Part part = new Part();
      for (Decoded each : decoded) {
        LogRecord record = each.record();
        JsonNode row = look.held.get(record.offset());
        boolean isGone = row == null && record.timeMs() < limitMs;
        if (isGone || look.taken.contains(record.offset())) continue;
        String key = each.isEvent() ? Window.keyOf(each.projectId(), each.eventId()) : null;
        boolean isOpen = isOpen(row);
        boolean isRepeated =
            isOpen
                ? key != null && hasCopy(each, stored.get(key), copies.get(key))
                : row.get(1).asText().equals("duplicate");
        // What was put together by nobody has no number of a batch.
        int batchId = row == null ? 0 : row.get(2).asInt();
        long owner = row == null ? 0 : row.get(3).asLong();
        Place place = new Place(logId, partition, record.offset(), batchId, owner);
        Outcome outcome = part.add(each, isRepeated, place);
        if (isOpen && outcome == Outcome.STORED) stored.put(key, record.timeMs());
      }
      return part.isEmpty()
          || part.isInserted((lines) -> store.insert(fresh, Mapping.COLUMNS, lines, group, 0));
    }

    /** What became of it is to be decided anew. */
    private static boolean isOpen(JsonNode row) {
      return row == null || row.get(1).asText().equals("rejected");
    }

    private Look lookFor(long from, long to) throws InterruptedException {
      // What an attempt of before has sent is in by then, or never comes in.
      store.settle(List.of(group));
      Map<String, Object> range =
          Map.of("log", logId, "partition", partition, "from", from, "to", to);
      String places =
          " WHERE log_id = {log:UInt32} AND log_partition = {partition:UInt16}"
              + " AND log_offset >= {from:UInt64} AND log_offset < {to:UInt64}";
      Set<Long> taken = new HashSet<>();
      String done = "SELECT log_offset FROM " + fresh + places;
      String erased = "SELECT log_offset FROM removals" + places + " AND kind = 'erased'";
      store
          .select(done + " UNION ALL " + erased, range)
          .forEach((row) -> taken.add(row.get(0).asLong()));
      Map<Long, JsonNode> held = new HashMap<>();
      // Of a place that is doubled the stored one counts.
      store
          .select(
              "SELECT log_offset, toString(outcome), batch_id, owner FROM records"
                  + places
                  + " AND "
                  + ofMonths
                  + " ORDER BY records.outcome DESC",
              range)
          .forEach((row) -> held.put(row.get(0).asLong(), row));
      return new Look(to, taken, held);
    }

    /** Of events that are decided anew: copies that are stored, made so by now, or were erased. */
    private Map<String, List<Copy>> copies(List<Decoded> decoded) throws InterruptedException {
      List<Decoded> open = new ArrayList<>();
      long oldestMs = Long.MAX_VALUE;
      for (Decoded each : decoded) {
        if (!each.isEvent() || !isOpen(look.held.get(each.record().offset()))) continue;
        open.add(each);
        oldestMs = Math.min(oldestMs, each.record().timeMs());
      }
      if (open.isEmpty()) return Map.of();
      long afterMs = oldestMs - settings.windowMs();
      Map<String, List<Copy>> copies = records.copies("records", logId, partition, open, afterMs);
      records
          .copies(fresh, logId, partition, open, afterMs)
          .forEach((key, more) -> copies.computeIfAbsent(key, (k) -> new ArrayList<>()).addAll(more));
      Records.addErased(records.erasedIds(afterMs), open, copies);
      return copies;
    }

    /** As ever, and what can be stored has none behind it either: that is stored because this was not. */
    private boolean hasCopy(Decoded event, Long storedMs, List<Copy> copies) {
      LogRecord record = event.record();
      long sinceMs = record.timeMs() - settings.windowMs();
      if (storedMs != null && storedMs > sinceMs) return true;
      return copies != null
          && copies.stream()
              .filter((copy) -> copy.timeMs() > sinceMs)
              .anyMatch(
                  (copy) ->
                      copy.offset() < record.offset()
                          || event.canBeStored()
                              && copy.timeMs() < record.timeMs() + settings.windowMs());
    }
  }
}
