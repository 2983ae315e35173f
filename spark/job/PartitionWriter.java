/*
 * One partition of the topic in an executor: its records into the store, each exactly once. What
 * decides is (topic, partition, offset) and what the store holds, never the number of a batch or of
 * an attempt. docs/decisions/0010-spark.md
 */
package clickstream;

import clickstream.Store.StoreException;
import clickstream.Window.Copy;
import java.time.Instant;
import java.time.YearMonth;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

final class PartitionWriter {
  /** Of the column, an Int32; reached after years, and only a number for people. */
  private static final int BATCH_ID_MAX = Integer.MAX_VALUE;

  private static final long RETRY_MS = 50;
  private static final long RETRY_MS_MAX = 2_000;
  /** So long a task waits for a store in trouble; then Spark tries it again, and in the end the driver. */
  private static final long TROUBLE_MS_MAX = 60_000;
  /** So much further back is read at once: what comes late seldom comes alone. */
  private static final long FURTHER_MS = 3_600_000;
  /** The window is loaded in slices of time, as many at once as have so many ids. */
  private static final int PAGE_IDS = 20_000;
  private static final long SLICES = 100_000;

  private static final long UNKNOWN = -1;
  private static final Logger LOG = LoggerFactory.getLogger(PartitionWriter.class);

  /** What a task brought into the store: offsets from `from` to before `to`. */
  record Done(int partition, long from, long to, int batchId, long insertMs)
      implements java.io.Serializable {}

  private record Id(Settings.Server store, int logId, int partition) {}

  /** Of this executor, for as long as it lives. */
  private static final Map<Id, PartitionWriter> WRITERS = new ConcurrentHashMap<>();

  /** The same one for each task of a partition; two attempts that meet here take turns. */
  static PartitionWriter of(Settings settings, int logId, int partition, int partitions) {
    return WRITERS.computeIfAbsent(
        new Id(settings.store(), logId, partition),
        (id) -> new PartitionWriter(settings, logId, partition, partitions));
  }

  private final Settings settings;
  private final int logId;
  private final int partition;
  private final int partitions;
  private final Records records;

  /** All numbers that this executor has taken the partition under, and the last of them. */
  private final Set<Long> numbers = new HashSet<>();
  private long owner;
  /** The window knows what the store holds of the places before this one. */
  private long seenTo;
  /** Nothing is in behind `seenTo`, as long as nobody else has written. */
  private boolean isSure;
  private int batchId;
  private volatile Window window;
  private Map<String, List<Long>> erased = Map.of();
  private long erasedSinceMs = Long.MAX_VALUE;
  private long insertMs;

  private PartitionWriter(Settings settings, int logId, int partition, int partitions) {
    this.settings = settings;
    this.logId = logId;
    this.partition = partition;
    this.partitions = partitions;
    this.records = new Records(new Store(settings.store()));
  }

  /**
   * Brings records of consecutive offsets into the store.
   *
   * @param lastBatchId of the partition, when the query began
   * @throws StoreException when the store stays in trouble; what is in by then is found the next time
   */
  synchronized Done write(Iterator<LogRecord> all, int lastBatchId) throws InterruptedException {
    batchId = Math.max(batchId, lastBatchId);
    insertMs = 0;
    long from = UNKNOWN;
    long to = UNKNOWN;
    LogRecord first = all.hasNext() ? all.next() : null;
    while (first != null) {
      List<LogRecord> part = new ArrayList<>();
      long bytes = 0;
      LogRecord record = first;
      YearMonth month = monthOf(first);
      // One INSERT is one part: it is bounded, and never of two months.
      while (record != null
          && part.size() < settings.batchRows()
          && (part.isEmpty() || bytes + record.bytes().length <= settings.batchBytes())
          && monthOf(record).equals(month)) {
        part.add(record);
        bytes += record.bytes().length;
        record = all.hasNext() ? all.next() : null;
      }
      store(part);
      if (from == UNKNOWN) from = first.offset();
      to = part.get(part.size() - 1).offset() + 1;
      first = record;
    }
    return new Done(partition, from, to, batchId, insertMs);
  }

  private void store(List<LogRecord> part) throws InterruptedException {
    List<Decoded> decoded = part.stream().map(Mapping::decode).toList();
    long untilNs = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(TROUBLE_MS_MAX);
    for (long waitMs = RETRY_MS; ; waitMs = Math.min(2 * waitMs, RETRY_MS_MAX)) {
      boolean isNext = isSure && part.get(0).offset() == seenTo;
      // Whatever goes wrong from here on may have left some of it in the store.
      isSure = false;
      try {
        Map<Long, Boolean> held = isNext ? Map.of() : lookFor(part);
        if (isInserted(decoded, held)) {
          // Beyond `seenTo` already where the store held more than this part: then the next one looks.
          seenTo = Math.max(seenTo, part.get(part.size() - 1).offset() + 1);
          isSure = true;
          return;
        }
      } catch (StoreException trouble) {
        if (System.nanoTime() > untilNs) throw trouble;
        LOG.warn("partition {}: {} Again in {} ms.", partition, trouble.getMessage(), waitMs);
        TimeUnit.MILLISECONDS.sleep(waitMs);
      }
    }
  }

  /** What the store holds of the range, when no earlier insert of it can come in any more. */
  private Map<Long, Boolean> lookFor(List<LogRecord> part) throws InterruptedException {
    long from = part.get(0).offset();
    long to = part.get(part.size() - 1).offset() + 1;
    takeOver();
    Map<Long, Boolean> held = records.held(logId, partition, from, to);
    Records.LastPlace last = records.last(logId, partition, Math.max(0, from - 1));
    if (last != null && last.batchId() > batchId) batchId = last.batchId();
    long storedTo = last == null ? from : last.offset() + 1;
    boolean isSeen = storedTo <= seenTo || (from <= seenTo && storedTo <= to);
    // Others have written, or an INSERT came in of which no answer came.
    if (window == null || !isSeen) {
      openWindow();
      seenTo = storedTo;
    }
    LOG.info("partition {}: looked for {} to {}, {} are held", partition, from, to, held.size());
    return held;
  }

  private void takeOver() throws InterruptedException {
    long known = records.ownerWhenFree(logId, partition);
    // Another one may have written meanwhile, or erased: nothing that was known is known.
    if (!numbers.contains(known)) {
      window = null;
      numbers.clear();
    }
    long number = Records.newOwner();
    numbers.add(number);
    records.takeOver(logId, partition, number);
    owner = number;
    erasedSinceMs = Long.MAX_VALUE;
  }

  /** Right at once, because all that the store holds is asked for; then loaded, the newest first. */
  private void openWindow() throws InterruptedException {
    long newestMs = records.newestMs();
    Window opened = new Window(settings.windowMs(), settings.windowBytes() / partitions, newestMs);
    window = opened;
    Thread thread = new Thread(() -> load(opened, newestMs), "window-" + partition);
    thread.setDaemon(true);
    thread.start();
  }

  private void load(Window opened, long newestMs) {
    long sinceMs = Math.min(newestMs, System.currentTimeMillis()) - settings.windowMs();
    try {
      List<Records.Slice> slices = records.slices(sinceMs, settings.windowMs() / SLICES + 1);
      for (int i = 0; i < slices.size() && window == opened; ) {
        long toMs = slices.get(i).toMs();
        long ids = 0;
        long fromMs = toMs;
        for (; i < slices.size() && (ids == 0 || ids + slices.get(i).ids() <= PAGE_IDS); i++) {
          ids += slices.get(i).ids();
          fromMs = slices.get(i).fromMs();
        }
        boolean[] isFull = {false};
        records.storedIds(
            fromMs, toMs, partition, partitions, (key, timeMs) -> isFull[0] |= isFull[0] || !opened.load(key, timeMs));
        if (isFull[0]) return;
        opened.loadedSince(fromMs);
      }
      if (window == opened) opened.loadedSince(sinceMs);
    } catch (StoreException | InterruptedException e) {
      // What is not loaded goes on being asked for, until somebody takes the partition over.
      LOG.warn("partition {}: the window is not loaded: {}", partition, e.getMessage());
    }
  }

  /** False when the store has refused a row: decide again, with what is in by now. */
  private boolean isInserted(List<Decoded> decoded, Map<Long, Boolean> held)
      throws InterruptedException {
    Map<String, List<Copy>> asked = askFor(decoded);
    Map<String, Copy> stored = new HashMap<>();
    Part missing = new Part();
    int number = batchId < BATCH_ID_MAX ? batchId + 1 : 1;
    for (Decoded each : decoded) {
      LogRecord record = each.record();
      String key = each.isEvent() ? Window.keyOf(each.projectId(), each.eventId()) : null;
      Copy copy = new Copy(record.offset(), record.timeMs());
      Boolean isStored = held.get(record.offset());
      if (isStored == null) {
        boolean isRepeated = key != null && isRepeated(key, record, stored, asked);
        Place place = new Place(logId, partition, record.offset(), number, owner);
        isStored = missing.add(each, isRepeated, place) == Outcome.STORED;
      }
      if (key != null && isStored) stored.put(key, copy);
    }
    if (!missing.isEmpty()) {
      batchId = number;
      if (!missing.isInserted(this::insert)) return false;
    }
    // Only now: what the store has refused is nobody's first copy.
    stored.forEach(window::add);
    return true;
  }

  private boolean isRepeated(
      String key, LogRecord record, Map<String, Copy> stored, Map<String, List<Copy>> asked) {
    long sinceMs = record.timeMs() - settings.windowMs();
    Copy inPart = stored.get(key);
    if (inPart != null && inPart.timeMs() > sinceMs) return true;
    Copy known = window.find(key, record.timeMs());
    if (known != null && known != Window.ASK && known.offset() < record.offset()) return true;
    return asked.getOrDefault(key, List.of()).stream()
        .anyMatch((copy) -> copy.timeMs() > sinceMs && copy.offset() < record.offset());
  }

  /** For whoever the window does not know for sure, the copies that are stored or were erased. */
  private Map<String, List<Copy>> askFor(List<Decoded> decoded) throws InterruptedException {
    long oldestMs = Long.MAX_VALUE;
    List<Decoded> unsure = new ArrayList<>();
    for (Decoded each : decoded) {
      LogRecord record = each.record();
      oldestMs = Math.min(oldestMs, record.timeMs());
      if (!each.isEvent()) continue;
      Copy copy = window.find(Window.keyOf(each.projectId(), each.eventId()), record.timeMs());
      // A later copy has taken the place of what was there before.
      if (copy != null && copy.offset() >= record.offset()) copy = Window.ASK;
      if (copy == Window.ASK) unsure.add(each);
    }
    long afterMs = oldestMs - settings.windowMs();
    Map<String, List<Copy>> copies =
        unsure.isEmpty() ? new HashMap<>() : records.copies("records", logId, partition, unsure, afterMs);
    if (afterMs < erasedSinceMs) {
      erased = records.erasedIds(afterMs - FURTHER_MS);
      erasedSinceMs = afterMs - FURTHER_MS;
    }
    Records.addErased(erased, decoded, copies);
    return copies;
  }

  private void insert(byte[] rows) throws InterruptedException {
    long startedNs = System.nanoTime();
    records.insert(logId, partition, rows);
    insertMs += TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - startedNs);
  }

  private static YearMonth monthOf(LogRecord record) {
    return YearMonth.from(Instant.ofEpochMilli(record.timeMs()).atOffset(ZoneOffset.UTC));
  }
}
