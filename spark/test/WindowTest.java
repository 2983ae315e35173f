/* The window of ids against one that forgets nothing: it may ask the store, it must not be wrong. */
package clickstream;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import clickstream.Window.Copy;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

class WindowTest {
  private static final long WINDOW_MS = 1_000_000;
  /** So little that filters hold their least. */
  private static final long BYTES = 10;

  private static String keyOf(int i) {
    return Window.keyOf("shop", "e-" + i);
  }

  @Test
  void aCopyOfTheWindowIsNeverTakenForNew() {
    long seed = new Random().nextLong();
    Random random = new Random(seed);
    Window window = new Window(WINDOW_MS, BYTES, Long.MIN_VALUE);
    Map<String, Copy> all = new HashMap<>();
    long timeMs = 0;
    int asked = 0;
    for (int offset = 0; offset < 150_000; offset++) {
      // A clock that is set back now and then; more ids than filters have room for.
      timeMs += random.nextInt(1_000) == 0 ? -random.nextInt(5_000) : random.nextInt(40);
      String key = keyOf(random.nextInt(60_000));
      Copy found = window.find(key, timeMs);
      Copy known = all.get(key);
      boolean isInside = known != null && known.timeMs() > timeMs - WINDOW_MS;
      String what = "seed " + seed + ", offset " + offset;
      if (isInside) assertTrue(found == Window.ASK || known.equals(found), what);
      else assertTrue(found == null || found == Window.ASK, what);
      if (found == Window.ASK) asked++;
      if (isInside) continue;
      Copy copy = new Copy(offset, timeMs);
      window.add(key, copy);
      all.put(key, copy);
    }
    assertTrue(asked > 0, "the older ones are asked for");
  }

  @Test
  void whatTheStoreHeldIsAskedForUntilItIsLoaded() {
    Window window = new Window(WINDOW_MS, BYTES, 500_000);
    assertEquals(Window.ASK, window.find(keyOf(1), 600_000));
    assertTrue(window.load(keyOf(1), 400_000));
    window.loadedSince(300_000);
    assertEquals(Window.ASK, window.find(keyOf(2), 1_299_999));
    assertNull(window.find(keyOf(2), 1_300_000));
    assertEquals(Window.ASK, window.find(keyOf(1), 1_300_000));
    // By now the loaded one has left the window.
    assertNull(window.find(keyOf(1), 1_400_000));
  }

  @Test
  void aWindowThatIsFullSaysSoAndGoesOnAsking() {
    Window window = new Window(WINDOW_MS, BYTES, 500_000);
    int loaded = 0;
    while (window.load(keyOf(loaded), 400_000)) loaded++;
    assertTrue(loaded > 0);
    assertEquals(Window.ASK, window.find("never seen", 600_000));
  }

  @Test
  void theNewestAreKnownWithTheirPlace() {
    Window window = new Window(WINDOW_MS, BYTES, Long.MIN_VALUE);
    window.add(keyOf(1), new Copy(7, 10));
    assertEquals(new Copy(7, 10), window.find(keyOf(1), 20));
    assertNotNull(window.find(keyOf(1), WINDOW_MS + 9));
    assertNull(window.find(keyOf(1), WINDOW_MS + 10));
  }
}
