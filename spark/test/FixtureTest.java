/** The records of fixtures/records.ndjson become the rows of rows.ndjson, byte for byte. */
package clickstream;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.fail;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

class FixtureTest {
  private static final Path FIXTURES = Path.of(System.getProperty("clickstream.fixtures"));
  private static final long WINDOW_MS = 86_400_000;
  private record Line(Place place, LogRecord record) {}

  private record Copy(Place place, long timeMs) {}

  @Test
  @DisplayName("every record of the fixture becomes its row, byte for byte")
  void rows() throws IOException {
    List<Line> lines = readLines();
    List<String> rows = textLines("rows.ndjson");
    assertEquals(rows.size(), lines.size());
    Map<String, List<Copy>> stored = new HashMap<>();
    for (int i = 0; i < rows.size(); i++) {
      Line line = lines.get(i);
      Decoded decoded = Mapping.decode(line.record);
      List<Copy> copies = new ArrayList<>();
      if (decoded.isEvent())
        copies = stored.computeIfAbsent(keyOf(decoded), key -> new ArrayList<>());
      boolean isDuplicate = copies.stream().anyMatch(copy -> isBefore(copy, line));
      boolean canBeStored = decoded.canBeStored();
      RowBytes out = new RowBytes();
      Outcome outcome = Mapping.append(decoded, isDuplicate, line.place, out);
      String row = new String(out.array(), 0, out.size(), StandardCharsets.UTF_8);
      String expected = rows.get(i) + "\n";
      if (!row.equals(expected))
        fail("line %d of rows.ndjson:%n expected %s found    %s".formatted(i + 1, expected, row));
      assertEquals(canBeStored && !isDuplicate, outcome == Outcome.STORED, row);
      if (outcome == Outcome.STORED) copies.add(new Copy(line.place, line.record.timeMs()));
    }
  }

  private static String keyOf(Decoded event) {
    return event.projectId() + '\0' + event.eventId();
  }

  /** What another partition or log has stored by now was there before: so the lines are ordered. */
  private static boolean isBefore(Copy copy, Line line) {
    boolean isSamePartition =
        copy.place.logId() == line.place.logId()
            && copy.place.partition() == line.place.partition();
    boolean isEarlier = !isSamePartition || copy.place.offset() < line.place.offset();
    return isEarlier && line.record.timeMs() - copy.timeMs < WINDOW_MS;
  }

  private static List<Line> readLines() throws IOException {
    List<Line> lines = new ArrayList<>();
    for (String text : textLines("records.ndjson")) lines.add(readLine(text));
    return lines;
  }

  private static Line readLine(String json) throws IOException {
    Map<String, Long> numbers = new HashMap<>();
    byte[] bytes = {};
    try (JsonParser parser = new JsonFactory().createParser(json)) {
      parser.nextToken();
      while (parser.nextToken() != JsonToken.END_OBJECT) {
        String name = parser.currentName();
        parser.nextToken();
        if (name.equals("text")) bytes = parser.getText().getBytes(StandardCharsets.UTF_8);
        else if (name.equals("base64")) bytes = Base64.getDecoder().decode(parser.getText());
        else numbers.put(name, parser.getLongValue());
      }
    }
    long offset = numbers.get("log_offset");
    Place place =
        new Place(
            numbers.get("log_id"),
            numbers.get("log_partition").intValue(),
            offset,
            numbers.get("batch_id").intValue(),
            numbers.get("owner"));
    return new Line(place, new LogRecord(offset, numbers.get("time_ms"), bytes));
  }

  /** Only `\n` ends a line: texts may hold other characters that end one elsewhere. */
  private static List<String> textLines(String file) throws IOException {
    return List.of(Files.readString(FIXTURES.resolve(file)).split("\n"));
  }
}
