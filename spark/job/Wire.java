/** Reads the bytes of a record, as docs/rows.md has it: an event, or one that is refused. */
package clickstream;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** A record of the log: where it lies, when it was appended, what it holds. */
record LogRecord(long offset, long timeMs, byte[] bytes) {}

/**
 * What a record says. `values` are those of `fields`: null where it says nothing, `Wire.WRONG`
 * where it holds something else than it may, or else a String, a Long, or a list of such values.
 */
record Decoded(LogRecord record, Fields fields, Object[] values) {
  /** It is refused otherwise: by the collector, or because it cannot be read. */
  boolean isEvent() {
    return fields == Fields.RECORD;
  }

  /** Of an event. */
  String projectId() {
    return (String) values[Fields.PROJECT_ID];
  }

  /** Of an event; with the project it is the key of the rule for duplicates. */
  String eventId() {
    return (String) values[Fields.EVENT_ID];
  }

  /** Only an event that can be stored is anybody's first copy. */
  boolean canBeStored() {
    return isEvent() && isWhole(Fields.COLUMNS_END);
  }

  /** The first `count` values are what is asked for. */
  boolean isWhole(int count) {
    for (int i = 0; i < count; i++) if (!isGood(i)) return false;
    return true;
  }

  boolean isGood(int index) {
    Object value = values[index];
    return value == null ? !fields.list.get(index).isNeeded() : value != Wire.WRONG;
  }
}

final class Wire {
  /** Instead of a value that is not as its field asks. */
  static final Object WRONG = new Object();

  private static final int ITEMS_MAX = 1_000;

  /** No limits: what one processor reads, all have to read. */
  private static final JsonFactory JSON =
      JsonFactory.builder()
          .streamReadConstraints(
              StreamReadConstraints.builder()
                  .maxNestingDepth(Integer.MAX_VALUE)
                  .maxNumberLength(Integer.MAX_VALUE)
                  .maxStringLength(Integer.MAX_VALUE)
                  .maxNameLength(Integer.MAX_VALUE)
                  .build())
          // Names are the senders': a table of them could be filled with names that have one hash.
          .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
          .build();

  private Wire() {}

  static Decoded decode(LogRecord record) {
    byte[] bytes = record.bytes();
    try {
      if (!isUtf8(bytes)) return unreadable(record);
      // From bytes Jackson would take UTF-16 too, and no name with half of a surrogate pair.
      String text = new String(bytes, StandardCharsets.UTF_8);
      Object[] values = readRecord(text);
      if (values == null || !(values[Fields.VERSION] instanceof Long)) return unreadable(record);
      if (mayHoldHalfPair(text) && holdsHalfPair(text)) return unreadable(record);
      if (values[Fields.WHOLE_REJECTED] instanceof Object[] rejected)
        return new Decoded(record, Fields.REJECTED, rejected);
      // It is there, but no object.
      if (values[Fields.WHOLE_REJECTED] != null) return unreadable(record);
      boolean hasKey =
          values[Fields.PROJECT_ID] instanceof String && values[Fields.EVENT_ID] instanceof String;
      return hasKey ? new Decoded(record, Fields.RECORD, values) : unreadable(record);
    } catch (IOException notJson) {
      return unreadable(record);
    }
  }

  /** A refused event that says nothing, so that its row cannot be made. */
  private static Decoded unreadable(LogRecord record) {
    return new Decoded(record, Fields.REJECTED, new Object[Fields.REJECTED.list.size()]);
  }

  private static boolean isUtf8(byte[] bytes) {
    for (int at = 0; at < bytes.length; ) {
      int part = bytes[at] >= 0 ? 1 : RowBytes.characterAt(bytes, at, bytes.length);
      if (part < 0) return false;
      at += part;
    }
    return true;
  }

  /** Null when the text is no object, or more than one. */
  private static Object[] readRecord(String text) throws IOException {
    try (JsonParser parser = JSON.createParser(text)) {
      if (parser.nextToken() != JsonToken.START_OBJECT) return null;
      Object[] values = readObject(parser, text, Fields.RECORD);
      return parser.nextToken() == null ? values : null;
    }
  }

  /** Of an object whose brace has been read. Of several members with one name the last counts. */
  private static Object[] readObject(JsonParser parser, String text, Fields fields)
      throws IOException {
    Object[] values = new Object[fields.list.size()];
    while (parser.nextToken() != JsonToken.END_OBJECT) {
      int index = fields.indexOf(parser.currentName());
      JsonToken token = parser.nextToken();
      if (index == -1) parser.skipChildren();
      else values[index] = readValue(parser, text, token, fields.list.get(index));
    }
    return values;
  }

  private static Object readValue(
      JsonParser parser, String text, JsonToken token, Fields.Field field) throws IOException {
    // A refused event is one whatever its member holds.
    if (token == JsonToken.VALUE_NULL) return field.kind() == Fields.Kind.REJECTED ? WRONG : null;
    switch (field.kind()) {
      case TEXT:
        if (token == JsonToken.VALUE_STRING) return parser.getText();
        break;
      case WHOLE, TIME:
        if (token.isNumeric()) return readWhole(parser, field);
        break;
      case PROPERTIES:
        if (token == JsonToken.START_OBJECT) return copyObject(parser, text);
        break;
      case ITEMS:
        if (token == JsonToken.START_ARRAY) return readItems(parser, text);
        break;
      case REJECTED:
        if (token == JsonToken.START_OBJECT) return readObject(parser, text, Fields.REJECTED);
        break;
    }
    parser.skipChildren();
    return WRONG;
  }

  private static Object readWhole(JsonParser parser, Fields.Field field) throws IOException {
    double number = Double.parseDouble(parser.getText());
    boolean isWhole = number == Math.rint(number);
    return isWhole && number >= field.min() && number <= field.max() ? (long) number : WRONG;
  }

  /** The very characters. */
  private static String copyObject(JsonParser parser, String text) throws IOException {
    long from = parser.currentTokenLocation().getCharOffset();
    parser.skipChildren();
    return text.substring((int) from, (int) parser.currentLocation().getCharOffset());
  }

  private static Object readItems(JsonParser parser, String text) throws IOException {
    List<Object[]> items = new ArrayList<>();
    boolean isGood = true;
    for (JsonToken token; (token = parser.nextToken()) != JsonToken.END_ARRAY; ) {
      if (token == JsonToken.START_OBJECT) {
        Object[] item = readObject(parser, text, Fields.ITEM);
        for (Object value : item) isGood &= value != WRONG;
        // A few bytes of a record become a hundred of a row: a long list could make one of any size.
        isGood &= items.size() < ITEMS_MAX;
        if (isGood) items.add(item);
      } else {
        parser.skipChildren();
        isGood = false;
      }
    }
    return isGood ? items : WRONG;
  }

  /** In UTF-8 only an escape can bring half of a surrogate pair; nearly no record has one. */
  private static boolean mayHoldHalfPair(String text) {
    return text.contains("\\ud") || text.contains("\\uD");
  }

  private static final int LEVELS = 3;

  private static boolean holdsHalfPair(String text) throws IOException {
    try (JsonParser parser = JSON.createParser(text)) {
      return holdsHalfPair(parser, parser.nextToken(), LEVELS);
    }
  }

  /** Whether a text on so many levels does; only members that count are looked at. */
  private static boolean holdsHalfPair(JsonParser parser, JsonToken token, int levels)
      throws IOException {
    if (token == JsonToken.VALUE_STRING) return isHalved(parser.getText());
    if (!token.isStructStart()) return false;
    if (levels == 0) {
      parser.skipChildren();
      return false;
    }
    if (token == JsonToken.START_ARRAY) {
      boolean isFound = false;
      for (JsonToken next; (next = parser.nextToken()) != JsonToken.END_ARRAY; )
        isFound |= holdsHalfPair(parser, next, levels - 1);
      return isFound;
    }
    Map<String, Boolean> members = new HashMap<>();
    while (parser.nextToken() != JsonToken.END_OBJECT) {
      String name = parser.currentName();
      JsonToken next = parser.nextToken();
      boolean isSkipped = next.isStructStart() && name.equals("properties");
      members.put(name, holdsHalfPair(parser, next, isSkipped ? 0 : levels - 1));
    }
    return members.containsValue(true);
  }

  private static boolean isHalved(String text) {
    for (int at = 0; at < text.length(); at++) {
      char unit = text.charAt(at);
      if (!Character.isSurrogate(unit)) continue;
      boolean isPair =
          Character.isHighSurrogate(unit)
              && at + 1 < text.length()
              && Character.isLowSurrogate(text.charAt(at + 1));
      if (!isPair) return true;
      at++;
    }
    return false;
  }
}
