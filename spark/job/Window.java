/*
 * The event ids of a partition, for as long as a repeated one is to be recognised: the newest with
 * their places, the others in filters that say "surely new" or "ask the store". Bounded memory;
 * nothing is forgotten in silence. The rule is that of docs/rows.md.
 */
package clickstream;

import java.util.ArrayDeque;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.spark.util.sketch.BloomFilter;

final class Window {
  /** When it was received, and where it lies in this partition; -1 when elsewhere. */
  record Copy(long offset, long timeMs) {}

  /** The store has to be asked. */
  static final Copy ASK = new Copy(-2, 0);

  /** Copies mostly come within minutes: these are known with their place, without a question. */
  private static final int RECENT_MAX = 20_000;
  /** More of them waste less on the ids of the oldest that have left; each takes time. */
  private static final int FILTERS = 8;
  /** Of so many bits for an id about one new id in 120 is asked for in vain. */
  private static final int BITS_PER_ID = 10;

  private static final class Filter {
    final BloomFilter bits;
    long room;
    long newestMs = Long.MIN_VALUE;

    Filter(long ids) {
      bits = BloomFilter.create(ids, ids * BITS_PER_ID);
      room = ids;
    }
  }

  private final long windowMs;
  private final long idsPerFilter;
  private final Map<String, Copy> recent =
      new LinkedHashMap<>() {
        @Override
        protected boolean removeEldestEntry(Map.Entry<String, Copy> eldest) {
          return size() > RECENT_MAX;
        }
      };

  /** Oldest first; those that were loaded stand before all others. */
  private final ArrayDeque<Filter> filters = new ArrayDeque<>();
  private Filter loading;
  private Filter adding;
  /** Ids of before this time that the store holds are not all in here. */
  private long loadedSinceMs;
  /** Ids of up to this time may have been forgotten with their filter. */
  private long forgottenMs = Long.MIN_VALUE;

  /** @param newestMs what the store holds by now was received before this time */
  Window(long windowMs, long bytes, long newestMs) {
    this.windowMs = windowMs;
    this.idsPerFilter = Math.max(1_000, bytes * 8 / FILTERS / BITS_PER_ID);
    this.loadedSinceMs = newestMs;
  }

  /** NUL cannot be in the project's name: what stands before the first one is it. */
  static String keyOf(String projectId, String eventId) {
    return projectId + '\0' + eventId;
  }

  /** The newest copy within the window before `timeMs`; null: there is none; or `ASK`. */
  synchronized Copy find(String key, long timeMs) {
    Copy copy = recent.get(key);
    if (copy != null && copy.timeMs() > timeMs - windowMs) return copy;
    if (Math.max(loadedSinceMs, forgottenMs) > timeMs - windowMs) return ASK;
    for (Filter filter : filters)
      if (filter.newestMs > timeMs - windowMs && filter.bits.mightContainString(key)) return ASK;
    return null;
  }

  /** Keeps the place of a first copy that is in the store. */
  synchronized void add(String key, Copy copy) {
    recent.remove(key);
    recent.put(key, copy);
    if (adding == null || adding.room == 0) {
      while (filters.size() >= FILTERS)
        forgottenMs = Math.max(forgottenMs, filters.removeFirst().newestMs);
      adding = new Filter(idsPerFilter);
      filters.addLast(adding);
    }
    put(adding, key, copy.timeMs());
  }

  /** Notes an older id that the store holds; false when there is no room for it. */
  synchronized boolean load(String key, long timeMs) {
    if (loading != null && !filters.contains(loading)) return false;
    if (loading == null || loading.room == 0) {
      // The last one is left for what comes in.
      if (filters.size() >= FILTERS - 1) return false;
      loading = new Filter(idsPerFilter);
      filters.addFirst(loading);
    }
    put(loading, key, timeMs);
    return true;
  }

  /** Only what the store holds of before this time is not all here. */
  synchronized void loadedSince(long timeMs) {
    loadedSinceMs = timeMs;
  }

  private static void put(Filter filter, String key, long timeMs) {
    filter.bits.putString(key);
    filter.room--;
    filter.newestMs = Math.max(filter.newestMs, timeMs);
  }
}
