/** Tests of the mapping that the fixture is too small or too well-behaved for. */
package clickstream;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

class MappingTest {
  private static final Place PLACE = new Place(1, 2, 3, 4, 5);
  private static final long TIME_MS = 1_795_867_200_000L;

  private static LogRecord record(byte[] bytes) {
    return new LogRecord(PLACE.offset(), TIME_MS, bytes);
  }

  /** An event with these members more. */
  private static LogRecord event(String members) {
    String needed =
        """
        {"v":1,"project_id":"p","event_id":"e","session_id":"","visitor_id":"",\
        "event_time":0,"received_at":1,"event_name":"N",""";
    return record((needed + members + "}").getBytes(StandardCharsets.UTF_8));
  }

  private static Map<String, String> row(LogRecord record) throws IOException {
    RowBytes out = new RowBytes();
    Decoded decoded = Mapping.decode(record);
    Outcome outcome = Mapping.append(decoded, false, PLACE, out);
    assertEquals(decoded.canBeStored(), outcome == Outcome.STORED);
    return columns(out);
  }

  /** By name: what a text holds, and other values as they are written. */
  private static Map<String, String> columns(RowBytes out) throws IOException {
    String text = new String(out.array(), 0, out.size(), StandardCharsets.UTF_8);
    Map<String, String> columns = new HashMap<>();
    try (JsonParser parser = new JsonFactory().createParser(text)) {
      parser.nextToken();
      for (String name : Mapping.COLUMNS) {
        JsonToken token = parser.nextToken();
        int from = (int) parser.currentTokenLocation().getCharOffset();
        parser.skipChildren();
        int to = (int) parser.currentLocation().getCharOffset();
        columns.put(name, token.isStructStart() ? text.substring(from, to) : parser.getText());
      }
      assertEquals(JsonToken.END_ARRAY, parser.nextToken());
    }
    return columns;
  }

  private static void assertStored(String members) throws IOException {
    assertEquals("stored", row(event(members)).get("outcome"), members);
  }

  private static void assertUnprocessable(String members) throws IOException {
    assertEquals("unprocessable", row(event(members)).get("reason"), members);
  }

  @Test
  @DisplayName("the columns are those of src/process/row.ts")
  void columnNames() {
    assertEquals(
        List.of(System.getProperty("clickstream.columns").split(",")), Mapping.COLUMNS);
  }

  @Test
  @DisplayName("half of a surrogate pair counts in the texts of three levels, and only there")
  void halfPairs() throws IOException {
    for (String half : List.of("\\ud800", "\\uDFFF", "\\ud83d\\ud83d\\ude00", "\\ude00\\ud83d")) {
      assertUnprocessable("\"x\":\"" + half + "\"");
      assertUnprocessable("\"x\":[\"" + half + "\"]");
      assertUnprocessable("\"x\":[{\"y\":\"" + half + "\"}]");
      assertStored("\"x\":[[[\"" + half + "\"]]]");
      assertStored("\"properties\":{\"y\":\"" + half + "\"}");
      assertStored("\"x\":{\"properties\":[\"" + half + "\"]}");
      assertUnprocessable("\"properties\":\"" + half + "\"");
      assertStored("\"" + half + "\":\"\"");
      assertStored("\"x\":{\"y\":\"" + half + "\"},\"x\":{}");
      assertUnprocessable("\"x\":{},\"\\u0078\":{\"y\":\"" + half + "\"}");
    }
    assertEquals("😀\\ud800", row(event("\"url\":\"\\ud83d\\ude00\\\\ud800\"")).get("url"));
  }

  @Test
  @DisplayName("of several members with one name the last one counts")
  void duplicateNames() throws IOException {
    Map<String, String> row =
        row(event("\"url\":7,\"url\":\"a\",\"os\":\"b\",\"\\u006fs\":null,\"v\":2,\"v\":1.0"));
    assertEquals("a", row.get("url"));
    assertEquals("", row.get("os"));
    assertUnprocessable("\"url\":\"a\",\"\\u0075rl\":7");
    assertUnprocessable("\"v\":2");
    assertEquals(
        "{ \"b\" : 1e0 }",
        row(event("\"properties\":{\"a\":1},\"properties\":{ \"b\" : 1e0 }")).get("properties"));
    assertEquals("", row(event("\"url\\u0000\":\"a\",\"\\u0000url\":\"b\"")).get("url"));
  }

  @Test
  @DisplayName("numbers of any length and size are read as doubles")
  void numbers() throws IOException {
    String zeros = "0".repeat(100_000);
    assertStored("\"x\":[1e400,-1e400,1e-400,1e99999999999,1" + zeros + "]");
    assertUnprocessable("\"sequence\":1e400");
    assertUnprocessable("\"sequence\":1" + zeros);
    assertEquals("2", row(event("\"sequence\":2." + zeros + "1")).get("sequence"));
    assertEquals("3", row(event("\"sequence\":3" + zeros + "e-100000")).get("sequence"));
    assertEquals("0", row(event("\"quantity\":-0.0")).get("quantity"));
    assertUnprocessable("\"quantity\":1.5");
    assertUnprocessable("\"v\":1.0000001");
    for (String wrong : List.of("01", "1.", ".5", "+1", "NaN", "Infinity", "0x1", "-"))
      assertUnprocessable("\"x\":" + wrong);
  }

  @Test
  @DisplayName("a record may be nested as deeply as it likes")
  void nesting() throws IOException {
    String deep = "[{\"a\":".repeat(100_000) + "1" + "}]".repeat(100_000);
    assertStored("\"x\":" + deep);
    // Also where halves of pairs are looked for.
    assertStored("\"x\":" + deep + ",\"url\":\"\\ud83d\\ude00\"");
    String properties = "{\"a\":" + deep + "}";
    assertEquals(properties, row(event("\"properties\":" + properties)).get("properties"));
    assertUnprocessable("\"x\":" + deep + "]");
  }

  @Test
  @DisplayName("names and texts of any length, and names with one hash, are taken")
  void sizes() throws IOException {
    String text = "日😀\"\\".repeat(500_000);
    String json = '"' + text.replace("\\", "\\\\").replace("\"", "\\\"") + '"';
    Map<String, String> row =
        row(event("%1$s:1,\"url\":%1$s,\"properties\":{%1$s:1}".formatted(json)));
    assertEquals(text, row.get("url"));
    assertEquals("{" + json + ":1}", row.get("properties"));
    StringBuilder names = new StringBuilder("\"x\":1");
    for (int bits = 0; bits < 1 << 12; bits++) {
      names.append(",\"");
      for (int bit = 0; bit < 12; bit++) names.append((bits >> bit & 1) == 0 ? "ab" : "bA");
      names.append("\":1");
    }
    assertStored(names.toString());
  }

  @Test
  @DisplayName("items have five names in one order, and are all as they should be")
  void items() throws IOException {
    String written =
        "[{\"product_id\":\"\",\"quantity\":-1,\"item_price\":null,\"master_category\":\"\","
            + "\"sub_category\":\"s\"},{\"product_id\":\"p\",\"quantity\":null,"
            + "\"item_price\":\"0.5\",\"master_category\":\"\",\"sub_category\":\"\"}]";
    String items =
        "[{\"sub_category\":\"s\",\"quantity\":2,\"quantity\":-1.0,\"x\":[]},"
            + "{\"item_price\":\"0.5\",\"product_id\":\"p\",\"master_category\":null}]";
    assertEquals(written, row(event("\"items\":" + items)).get("items"));
    for (String wrong : List.of("{}", "[1]", "[null]", "[{},[]]", "[{\"item_price\":1},{}]"))
      assertUnprocessable("\"items\":" + wrong);
  }

  @Test
  @DisplayName("bytes that are no UTF-8 become one U+FFFD for each part")
  void damaged() throws IOException {
    Map<String, Integer> parts =
        Map.of("c0af", 2, "e08080", 3, "eda080", 3, "f4908080", 4, "f09f98", 1, "e282", 1, "c3", 1);
    for (String hex : parts.keySet()) {
      // One character for each byte.
      String bytes = new String(HexFormat.of().parseHex(hex), StandardCharsets.ISO_8859_1);
      String text = "{\"project_id\":\"" + bytes + "\",\"" + bytes;
      String replaced = text.replace(bytes, "\ufffd".repeat(parts.get(hex)));
      for (String end : List.of("", "x", "é")) {
        String utf8 = new String(end.getBytes(StandardCharsets.UTF_8), StandardCharsets.ISO_8859_1);
        Map<String, String> row = row(record((text + utf8).getBytes(StandardCharsets.ISO_8859_1)));
        assertEquals("\ufffd".repeat(parts.get(hex)), row.get("project_id"), hex);
        assertEquals(replaced + end, row.get("payload"), hex);
      }
    }
  }

  @Test
  @DisplayName("only JSON in UTF-8 without a byte order mark is read")
  void encodings() throws IOException {
    String json = new String(event("\"x\":1").bytes(), StandardCharsets.UTF_8);
    assertEquals("stored", row(record(json.getBytes(StandardCharsets.UTF_8))).get("outcome"));
    assertEquals(
        "unprocessable",
        row(record(("\ufeff" + json).getBytes(StandardCharsets.UTF_8))).get("reason"));
    for (var charset : List.of(StandardCharsets.UTF_16LE, StandardCharsets.UTF_16BE))
      assertEquals("unprocessable", row(record(json.getBytes(charset))).get("reason"));
  }

  @Test
  @DisplayName("a record is one object, and whatever has a member rejected is no event")
  void oneObject() throws IOException {
    String json = new String(event("\"x\":1").bytes(), StandardCharsets.UTF_8);
    for (String more : List.of("{}", "1", ",", "]", "x", "\0", "\u00a0")) {
      LogRecord record = record((json + more).getBytes(StandardCharsets.UTF_8));
      assertEquals("unprocessable", row(record).get("reason"), more);
    }
    LogRecord spaced = record((" " + json + " \n\t\r").getBytes(StandardCharsets.UTF_8));
    assertEquals("stored", row(spaced).get("outcome"));
    for (String value : List.of("null", "0", "\"\"", "[]", "{}"))
      assertUnprocessable("\"rejected\":" + value);
    String rejected =
        """
        {"project_id":"q","event_id":"","received_at":2,"reason":"r","field":"","payload":""}""";
    assertEquals("r", row(event("\"rejected\":7,\"rejected\":" + rejected)).get("reason"));
  }

  @Test
  @DisplayName("an event that cannot be stored can still be a duplicate")
  void duplicates() throws IOException {
    Decoded decoded = Mapping.decode(event("\"url\":7"));
    assertTrue(decoded.isEvent());
    assertFalse(decoded.canBeStored());
    RowBytes out = new RowBytes();
    assertEquals(Outcome.DUPLICATE, Mapping.append(decoded, true, PLACE, out));
    assertEquals("duplicate", columns(out).get("outcome"));
    out = new RowBytes();
    Decoded timeless = Mapping.decode(event("\"event_time\":\"x\""));
    assertEquals(Outcome.REJECTED, Mapping.append(timeless, true, PLACE, out));
    assertEquals("unprocessable", columns(out).get("reason"));
  }

  @Test
  @DisplayName("what the store refuses is kept as unprocessable, within the times of the store")
  void unprocessable() throws IOException {
    RowBytes out = new RowBytes();
    LogRecord record = event("\"url\":\"" + "x".repeat(5_000) + "\"");
    Mapping.appendUnprocessable(new LogRecord(3, Long.MIN_VALUE, record.bytes()), PLACE, out);
    Map<String, String> row = columns(out);
    assertEquals("rejected", row.get("outcome"));
    assertEquals("p", row.get("project_id"));
    assertEquals("1900-01-01 00:00:00.000", row.get("received_at"));
    assertEquals(4096, row.get("payload").length());
    out = new RowBytes();
    Mapping.appendUnprocessable(new LogRecord(3, Long.MAX_VALUE, record.bytes()), PLACE, out);
    assertEquals("2299-12-31 23:59:59.999", columns(out).get("event_time"));
  }
}
