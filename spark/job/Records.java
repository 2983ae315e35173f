/* What a processor asks of the store, as functions: the SQL of src/process/records.ts. */
package clickstream;

import clickstream.Window.Copy;
import com.fasterxml.jackson.databind.JsonNode;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.function.BiConsumer;

final class Records {
  /** The highest place that is stored, or was and is taken out: then it has no id. */
  record LastPlace(long offset, String eventId, int batchId) {}

  /** Ids that were received in `[fromMs, toMs)`. */
  record Slice(long fromMs, long toMs, long ids) {}

  /** Numbers from here on belong to those who hold a partition for a while; 0 is nobody's. */
  static final long HOLDER_MIN = 1L << 47;

  /** Nothing that is done to stored rows takes longer, or whoever holds the partition is dead. */
  private static final long HELD_MS_MAX = 90_000;

  private static final long HELD_POLL_MS = 250;
  private static final int PARTITIONS_MAX = 65_536;
  /** Of one question, in bytes of the address that they are sent in. */
  private static final int ASK_BYTES_MAX = 64 * 1024;
  /** Quotes, comma and escapes of an id in that list. */
  private static final int ASK_BYTES_EACH = 16;

  private final Store store;

  Records(Store store) {
    this.store = store;
  }

  /** The number of the log with this id, given now if it has none. */
  int registerLog(String log) throws InterruptedException {
    for (; ; ) {
      // The oldest row of a number has it. Who finds that another was faster takes the next one.
      var rows =
          store.select(
              "SELECT log_id, log FROM logs ORDER BY log_id, created_at, log LIMIT 1 BY log_id",
              Map.of());
      int next = 1;
      for (JsonNode row : rows) {
        if (row.get(1).asText().equals(log)) return row.get(0).asInt();
        next = row.get(0).asInt() + 1;
      }
      byte[] line = ("[" + next + ",\"" + log + "\"]\n").getBytes(StandardCharsets.UTF_8);
      store.insert("logs", List.of("log_id", "log"), line, "logs");
    }
  }

  static long newOwner() {
    return ThreadLocalRandom.current().nextLong(1, HOLDER_MIN);
  }

  /** From its return on inserts of earlier owners have ended, and later ones are refused. */
  void takeOver(int logId, int partition, long owner) throws InterruptedException {
    String takeOvers = "owners-" + logId + "-" + partition;
    // A try of before must not come after this one.
    store.settle(List.of(takeOvers));
    byte[] row = ("[" + keyOf(logId, partition) + "," + owner + "]\n").getBytes(StandardCharsets.UTF_8);
    store.insert("owners", List.of("log_key", "owner"), row, takeOvers);
    // Only now: what begins from here on is refused, and what had passed before is ended.
    store.settle(List.of(insertsOf(logId, partition)));
  }

  long ownerOf(int logId, int partition) throws InterruptedException {
    var rows =
        store.select(
            "SELECT owner FROM owners WHERE log_key = {key:UInt64}",
            Map.of("key", keyOf(logId, partition)));
    return rows.isEmpty() ? 0 : rows.get(0).get(0).asLong();
  }

  /** Waits while somebody holds the partition, but not for ever. */
  long ownerWhenFree(int logId, int partition) throws InterruptedException {
    long untilNs = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(HELD_MS_MAX);
    for (; ; ) {
      long owner = ownerOf(logId, partition);
      if (owner < HOLDER_MIN || System.nanoTime() > untilNs) return owner;
      TimeUnit.MILLISECONDS.sleep(HELD_POLL_MS);
    }
  }

  void insert(int logId, int partition, byte[] rows) throws InterruptedException {
    store.insert("records", Mapping.COLUMNS, rows, insertsOf(logId, partition));
  }

  /** The places from `from` to before `to` that are taken, and whether a stored event is there. */
  Map<Long, Boolean> held(int logId, int partition, long from, long to) throws InterruptedException {
    String places =
        " WHERE log_id = {log:UInt32} AND log_partition = {partition:UInt16}"
            + " AND log_offset >= {from:UInt64} AND log_offset < {to:UInt64}";
    Map<Long, Boolean> held = new HashMap<>();
    store
        .select(
            "SELECT log_offset, outcome = 'stored' FROM records"
                + places
                + " UNION ALL SELECT log_offset, 0 FROM removals"
                + places
                + " AND kind = 'erased'",
            Map.of("log", logId, "partition", partition, "from", from, "to", to))
        .forEach((row) -> held.put(row.get(0).asLong(), row.get(1).asInt() == 1));
    return held;
  }

  /** The highest place from this offset on; null when there is none. */
  LastPlace last(int logId, int partition, long from) throws InterruptedException {
    String places =
        " WHERE log_id = {log:UInt32} AND log_partition = {partition:UInt16}"
            + " AND log_offset >= {from:UInt64} ORDER BY log_offset DESC LIMIT 1";
    var rows =
        store.select(
            "SELECT log_offset, event_id, batch_id FROM ((SELECT log_offset, event_id, batch_id FROM records"
                + places
                + ") UNION ALL (SELECT log_offset, '' AS event_id, toInt32(0) AS batch_id FROM removals"
                + places
                + ")) ORDER BY log_offset DESC LIMIT 1",
            Map.of("log", logId, "partition", partition, "from", from));
    if (rows.isEmpty()) return null;
    JsonNode row = rows.get(0);
    return new LastPlace(row.get(0).asLong(), row.get(1).asText(), row.get(2).asInt());
  }

  /** The newest time of all rows; 0 when there are none. */
  long newestMs() throws InterruptedException {
    var rows = store.select("SELECT toUnixTimestamp64Milli(max(received_at)) FROM records", Map.of());
    return rows.isEmpty() ? 0 : rows.get(0).get(0).asLong();
  }

  /** How many events are stored since a time, the newest slice first. */
  List<Slice> slices(long sinceMs, long sliceMs) throws InterruptedException {
    List<Slice> slices = new ArrayList<>();
    store
        .select(
            "SELECT intDiv(toUnixTimestamp64Milli(received_at), {slice:Int64}) AS slice, count()"
                + " FROM records WHERE outcome = 'stored'"
                + " AND received_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')"
                + " GROUP BY slice ORDER BY slice DESC",
            Map.of("slice", sliceMs, "since", sinceMs))
        .forEach(
            (row) -> {
              long from = row.get(0).asLong() * sliceMs;
              slices.add(new Slice(from, from + sliceMs, row.get(1).asLong()));
            });
    return slices;
  }

  /** The stored ids of a range of time whose key belongs to one of so many partitions. */
  void storedIds(long fromMs, long toMs, int partition, int partitions, BiConsumer<String, Long> each)
      throws InterruptedException {
    store
        .select(
            "SELECT project_id, event_id, toUnixTimestamp64Milli(received_at) FROM records"
                + " WHERE outcome = 'stored'"
                + " AND received_at >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')"
                + " AND received_at < fromUnixTimestamp64Milli({to:Int64}, 'UTC')"
                + " AND CRC32(concat(project_id, '\\0', event_id)) % {partitions:UInt32} = {partition:UInt32}",
            Map.of("from", fromMs, "to", toMs, "partitions", partitions, "partition", partition))
        .forEach(
            (row) ->
                each.accept(
                    Window.keyOf(row.get(0).asText(), row.get(1).asText()), row.get(2).asLong()));
  }

  /**
   * The stored copies of these events after a time, by key.
   *
   * @param table `records`, or one like it
   */
  Map<String, List<Copy>> copies(
      String table, int logId, int partition, List<Decoded> events, long afterMs)
      throws InterruptedException {
    Map<String, List<Copy>> copies = new HashMap<>();
    Map<String, List<String>> open = new HashMap<>();
    Map<String, Integer> bytes = new HashMap<>();
    for (Decoded event : events) {
      String project = event.projectId();
      int size = 3 * event.eventId().getBytes(StandardCharsets.UTF_8).length + ASK_BYTES_EACH;
      if (bytes.getOrDefault(project, 0) + size > ASK_BYTES_MAX) {
        ask(table, logId, partition, project, open.remove(project), afterMs, copies);
        bytes.remove(project);
      }
      open.computeIfAbsent(project, (p) -> new ArrayList<>()).add(event.eventId());
      bytes.merge(project, size, Integer::sum);
    }
    for (var portion : open.entrySet())
      ask(table, logId, partition, portion.getKey(), portion.getValue(), afterMs, copies);
    return copies;
  }

  private void ask(
      String table,
      int logId,
      int partition,
      String project,
      List<String> ids,
      long afterMs,
      Map<String, List<Copy>> copies)
      throws InterruptedException {
    if (ids == null) return;
    store
        .select(
            "SELECT event_id, log_id, log_partition, log_offset, toUnixTimestamp64Milli(received_at)"
                + " FROM "
                + table
                + " WHERE outcome = 'stored'"
                + " AND received_at > fromUnixTimestamp64Milli({after:Int64}, 'UTC')"
                + " AND project_id = {project:String} AND event_id IN {ids:Array(String)}",
            Map.of("after", afterMs, "project", project, "ids", ids))
        .forEach(
            (row) -> {
              boolean isHere = row.get(1).asInt() == logId && row.get(2).asInt() == partition;
              copies
                  .computeIfAbsent(Window.keyOf(project, row.get(0).asText()), (key) -> new ArrayList<>())
                  .add(new Copy(isHere ? row.get(3).asLong() : -1, row.get(4).asLong()));
            });
  }

  /** Events that were stored after a time and erased since: when, by the SHA-256 of the key. */
  Map<String, List<Long>> erasedIds(long afterMs) throws InterruptedException {
    Map<String, List<Long>> times = new HashMap<>();
    store
        .select(
            "SELECT id_hash, toUnixTimestamp64Milli(received_at) FROM removals"
                + " WHERE kind = 'erased' AND id_hash != ''"
                + " AND received_at > fromUnixTimestamp64Milli({after:Int64}, 'UTC')",
            Map.of("after", afterMs))
        .forEach(
            (row) ->
                times
                    .computeIfAbsent(row.get(0).asText(), (hash) -> new ArrayList<>())
                    .add(row.get(1).asLong()));
    return times;
  }

  /** A copy of an event that was stored and erased since is a repeated one as well. */
  static void addErased(
      Map<String, List<Long>> erased, List<Decoded> events, Map<String, List<Copy>> copies) {
    if (erased.isEmpty()) return;
    for (Decoded event : events) {
      if (!event.isEvent()) continue;
      String key = Window.keyOf(event.projectId(), event.eventId());
      for (long timeMs : erased.getOrDefault(sha256(key), List.of()))
        copies.computeIfAbsent(key, (k) -> new ArrayList<>()).add(new Copy(-1, timeMs));
    }
  }

  private static String sha256(String key) {
    try {
      byte[] hash = MessageDigest.getInstance("SHA-256").digest(key.getBytes(StandardCharsets.UTF_8));
      return HexFormat.of().formatHex(hash);
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("Java has SHA-256", e);
    }
  }

  static long keyOf(int logId, int partition) {
    return (long) logId * PARTITIONS_MAX + partition;
  }

  private static String insertsOf(int logId, int partition) {
    return "records-" + logId + "-" + partition;
  }
}
