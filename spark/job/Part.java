/* Rows that go into the store by one INSERT, and what is done about one that the store refuses. */
package clickstream;

import clickstream.Store.StoreException;
import clickstream.Store.Trouble;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

final class Part {
  interface Insert {
    void rows(byte[] lines) throws InterruptedException;
  }

  private record Line(LogRecord record, Place place, int end) {}

  private static final Logger LOG = LoggerFactory.getLogger(Part.class);

  private final RowBytes bytes = new RowBytes();
  private final List<Line> lines = new ArrayList<>();

  /** In the order of the log. */
  Outcome add(Decoded decoded, boolean isRepeated, Place place) {
    Outcome outcome = Mapping.append(decoded, isRepeated, place, bytes);
    lines.add(new Line(decoded.record(), place, bytes.size()));
    return outcome;
  }

  boolean isEmpty() {
    return lines.isEmpty();
  }

  /**
   * A row that the store refuses by itself is found by halving, in the order of the log, and kept as
   * unprocessable.
   *
   * @return false when there was one: those behind it are not in, and have to be decided again
   */
  boolean isInserted(Insert insert) throws InterruptedException {
    return isInserted(insert, 0, lines.size());
  }

  private boolean isInserted(Insert insert, int from, int to) throws InterruptedException {
    int begin = from == 0 ? 0 : lines.get(from - 1).end;
    try {
      insert.rows(Arrays.copyOfRange(bytes.array(), begin, lines.get(to - 1).end));
      return true;
    } catch (StoreException refusal) {
      if (refusal.trouble != Trouble.REFUSED) throw refusal;
      if (to - from > 1) {
        int middle = (from + to + 1) / 2;
        return isInserted(insert, from, middle) && isInserted(insert, middle, to);
      }
      Line only = lines.get(from);
      RowBytes kept = new RowBytes();
      Mapping.appendUnprocessable(only.record, only.place, kept);
      // When the store refuses even that, it is the store.
      insert.rows(Arrays.copyOf(kept.array(), kept.size()));
      LOG.warn("the store refused {}; kept as unprocessable: {}", only.place, refusal.getMessage());
      return false;
    }
  }
}
