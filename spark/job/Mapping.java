/**
 * From a record of the log to its row of the table `records`, as docs/rows.md has it: without a
 * clock and without chance, so that every processor writes the same bytes.
 */
package clickstream;

import java.util.ArrayList;
import java.util.List;

/** Where a record lies for ever, the batch that brings it into the store, and who writes it. */
record Place(long logId, int partition, long offset, int batchId, long owner) {}

/** What becomes of a record: the first column. */
enum Outcome {
  STORED("stored"),
  DUPLICATE("duplicate"),
  REJECTED("rejected");

  final byte[] text;

  Outcome(String text) {
    this.text = RowBytes.ascii(text);
  }
}

final class Mapping {
  /** Bytes of a record from `from` to before `to`, whatever they are. */
  private record Span(int from, int to) {}

  /** In the order of the row. */
  static final List<String> COLUMNS = columns();

  private static final int PAYLOAD_BYTES_MAX = 4096;
  private static final byte[] PROJECT_BEGIN = RowBytes.ascii("\"project_id\":\"");
  private static final Object[] NO_REASON = {"", "", ""};
  private static final byte[][] ABSENT = absentOf(Fields.RECORD);
  private static final byte[][] ITEM_ABSENT = absentOf(Fields.ITEM);
  private static final byte[][] ITEM_NAMES = namesOf(Fields.ITEM);

  private Mapping() {}

  static Decoded decode(LogRecord record) {
    return Wire.decode(record);
  }

  /**
   * Appends the row of the record, a line. One that cannot be made is `unprocessable` instead.
   * Answers what it says: only what is stored is a first copy.
   */
  static Outcome append(Decoded decoded, boolean isDuplicate, Place place, RowBytes out) {
    Object[] values = decoded.values();
    if (!decoded.isEvent()) {
      if (decoded.isWhole(values.length)) appendRejected(decoded, place, out);
      else appendUnprocessable(decoded.record(), place, out);
      return Outcome.REJECTED;
    }
    if (!isDuplicate && decoded.canBeStored()) {
      appendRow(Outcome.STORED, decoded.record(), values, place, NO_REASON, out);
      return Outcome.STORED;
    }
    if (isDuplicate && decoded.isGood(Fields.EVENT_TIME) && decoded.isGood(Fields.RECEIVED_AT)) {
      appendDuplicate(decoded, place, out);
      return Outcome.DUPLICATE;
    }
    appendUnprocessable(decoded.record(), place, out);
    return Outcome.REJECTED;
  }

  private static void appendDuplicate(Decoded decoded, Place place, RowBytes out) {
    Object[] values = decoded.values();
    Object[] filled = new Object[Fields.COLUMNS_END];
    filled[Fields.PROJECT_ID] = values[Fields.PROJECT_ID];
    filled[Fields.EVENT_ID] = values[Fields.EVENT_ID];
    filled[Fields.EVENT_TIME] = values[Fields.EVENT_TIME];
    filled[Fields.RECEIVED_AT] = values[Fields.RECEIVED_AT];
    appendRow(Outcome.DUPLICATE, decoded.record(), filled, place, NO_REASON, out);
  }

  private static void appendRejected(Decoded decoded, Place place, RowBytes out) {
    Object[] values = decoded.values();
    Object[] filled = new Object[Fields.COLUMNS_END];
    filled[Fields.PROJECT_ID] = values[Fields.REJECTED_PROJECT_ID];
    filled[Fields.EVENT_ID] = values[Fields.REJECTED_EVENT_ID];
    filled[Fields.EVENT_TIME] = values[Fields.REJECTED_RECEIVED_AT];
    filled[Fields.RECEIVED_AT] = values[Fields.REJECTED_RECEIVED_AT];
    Object[] why = {values[Fields.REASON], values[Fields.FIELD], values[Fields.PAYLOAD]};
    appendRow(Outcome.REJECTED, decoded.record(), filled, place, why, out);
  }

  /** What is kept of a record that cannot be read, or whose row the store itself refuses. */
  static void appendUnprocessable(LogRecord record, Place place, RowBytes out) {
    Object[] filled = new Object[Fields.COLUMNS_END];
    Span project = projectOf(record.bytes());
    filled[Fields.PROJECT_ID] = project;
    filled[Fields.EVENT_ID] = "";
    // Of a log that others can write to: whatever it is, the record must find its row.
    Long timeMs = Math.min(Math.max(record.timeMs(), Fields.TIME_MS_MIN), Fields.TIME_MS_MAX);
    filled[Fields.EVENT_TIME] = timeMs;
    filled[Fields.RECEIVED_AT] = timeMs;
    Span payload = new Span(0, Math.min(record.bytes().length, PAYLOAD_BYTES_MAX));
    Object[] why = {"unprocessable", "", payload};
    appendRow(Outcome.REJECTED, record, filled, place, why, out);
  }

  /** The project that the bytes seem to name, whatever they are; null when they name none. */
  private static Span projectOf(byte[] bytes) {
    int from = indexOf(bytes, PROJECT_BEGIN, 0) + PROJECT_BEGIN.length;
    if (from < PROJECT_BEGIN.length) return null;
    int to = indexOf(bytes, new byte[] {'"'}, from);
    return to == -1 ? null : new Span(from, to);
  }

  private static int indexOf(byte[] bytes, byte[] part, int from) {
    for (int at = from; at <= bytes.length - part.length; at++) {
      int i = 0;
      while (i < part.length && bytes[at + i] == part[i]) i++;
      if (i == part.length) return at;
    }
    return -1;
  }

  /** Absent values are null; `why` are reason, field and payload. */
  private static void appendRow(
      Outcome outcome, LogRecord record, Object[] values, Place place, Object[] why, RowBytes out) {
    out.put('[');
    out.put('"');
    out.put(outcome.text);
    out.put('"');
    for (int i = 0; i < Fields.COLUMNS_END; i++) {
      out.put(',');
      if (values[i] == null) out.put(ABSENT[i]);
      else appendValue(values[i], Fields.RECORD.list.get(i).kind(), record, out);
    }
    long[] numbers = {
      place.logId(), place.partition(), place.offset(), place.batchId(), place.owner()
    };
    for (long number : numbers) {
      out.put(',');
      out.putWhole(number);
    }
    for (Object text : why) {
      out.put(',');
      appendValue(text, Fields.Kind.TEXT, record, out);
    }
    out.put(']');
    out.put('\n');
  }

  private static void appendValue(Object value, Fields.Kind kind, LogRecord record, RowBytes out) {
    if (value instanceof String text) out.putText(text);
    else if (value instanceof Span span) out.putText(record.bytes(), span.from(), span.to());
    else if (value instanceof Long time && kind == Fields.Kind.TIME) out.putTime(time);
    else if (value instanceof Long number) out.putWhole(number);
    else appendItems((List<?>) value, record, out);
  }

  private static void appendItems(List<?> items, LogRecord record, RowBytes out) {
    out.put('[');
    String separator = "";
    for (Object item : items) {
      Object[] values = (Object[]) item;
      out.put(RowBytes.ascii(separator));
      separator = ",";
      for (int i = 0; i < values.length; i++) {
        out.put(ITEM_NAMES[i]);
        if (values[i] == null) out.put(ITEM_ABSENT[i]);
        else appendValue(values[i], Fields.ITEM.list.get(i).kind(), record, out);
      }
      out.put('}');
    }
    out.put(']');
  }

  private static List<String> columns() {
    List<String> names = new ArrayList<>();
    names.add("outcome");
    for (int i = 0; i < Fields.COLUMNS_END; i++) names.add(Fields.RECORD.list.get(i).name());
    names.addAll(List.of("log_id", "log_partition", "log_offset", "batch_id", "owner"));
    names.addAll(List.of("reason", "field", "payload"));
    return List.copyOf(names);
  }

  private static byte[][] absentOf(Fields fields) {
    return fields.list.stream()
        .map(field -> RowBytes.ascii(field.absent()))
        .toArray(byte[][]::new);
  }

  /** With what stands before each in an object. */
  private static byte[][] namesOf(Fields fields) {
    byte[][] names = new byte[fields.list.size()][];
    for (int i = 0; i < names.length; i++)
      names[i] = RowBytes.ascii((i == 0 ? "{\"" : ",\"") + fields.list.get(i).name() + "\":");
    return names;
  }
}
