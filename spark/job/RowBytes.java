/** Rows as they go to the store: JSON in UTF-8, in one array that grows. */
package clickstream;

import java.nio.charset.StandardCharsets;
import java.time.LocalDate;
import java.util.Arrays;

final class RowBytes {
  private static final int DAY_MS = 86_400_000;
  /** Those of an escape; what is not escaped takes at most four. */
  private static final int CHARACTER_BYTES_MAX = 6;
  private static final byte[] HEX = ascii("0123456789abcdef");
  /** What is written instead of bytes that are no UTF-8: U+FFFD. */
  private static final byte[] REPLACEMENT = "\ufffd".getBytes(StandardCharsets.UTF_8);
  /** By character: what stands behind the backslash, or 0 for one that is not escaped in short. */
  private static final byte[] SHORT_ESCAPES = new byte[128];

  static {
    SHORT_ESCAPES['"'] = '"';
    SHORT_ESCAPES['\\'] = '\\';
    SHORT_ESCAPES['\b'] = 'b';
    SHORT_ESCAPES['\f'] = 'f';
    SHORT_ESCAPES['\n'] = 'n';
    SHORT_ESCAPES['\r'] = 'r';
    SHORT_ESCAPES['\t'] = 't';
  }

  private byte[] array = new byte[4096];
  private int size;

  /** The bytes before `size()` are what was written. */
  byte[] array() {
    return array;
  }

  int size() {
    return size;
  }

  static byte[] ascii(String text) {
    return text.getBytes(StandardCharsets.US_ASCII);
  }

  void put(char character) {
    reserve(1);
    array[size++] = (byte) character;
  }

  void put(byte[] bytes) {
    reserve(bytes.length);
    System.arraycopy(bytes, 0, array, size, bytes.length);
    size += bytes.length;
  }

  void putWhole(long number) {
    put(ascii(Long.toString(number)));
  }

  /** As a JSON text; without half of a surrogate pair. */
  void putText(String text) {
    put('"');
    for (int at = 0; at < text.length(); at++) {
      reserve(CHARACTER_BYTES_MAX);
      char unit = text.charAt(at);
      if (unit < 0x80) putAscii(unit);
      else if (unit < 0x800) {
        array[size++] = (byte) (0xc0 | unit >> 6);
        array[size++] = (byte) (0x80 | unit & 0x3f);
      } else if (Character.isSurrogate(unit)) {
        int point = Character.toCodePoint(unit, text.charAt(++at));
        array[size++] = (byte) (0xf0 | point >> 18);
        array[size++] = (byte) (0x80 | point >> 12 & 0x3f);
        array[size++] = (byte) (0x80 | point >> 6 & 0x3f);
        array[size++] = (byte) (0x80 | point & 0x3f);
      } else {
        array[size++] = (byte) (0xe0 | unit >> 12);
        array[size++] = (byte) (0x80 | unit >> 6 & 0x3f);
        array[size++] = (byte) (0x80 | unit & 0x3f);
      }
    }
    put('"');
  }

  /** As a JSON text, with one U+FFFD for each part that is no UTF-8. */
  void putText(byte[] bytes, int from, int to) {
    put('"');
    for (int at = from; at < to; ) {
      reserve(CHARACTER_BYTES_MAX);
      if (bytes[at] >= 0) {
        putAscii((char) bytes[at++]);
        continue;
      }
      int part = characterAt(bytes, at, to);
      if (part < 0) put(REPLACEMENT);
      for (int end = at + Math.abs(part); at < end; at++) if (part > 0) array[size++] = bytes[at];
    }
    put('"');
  }

  /** Into what has been reserved. */
  private void putAscii(char unit) {
    byte escape = SHORT_ESCAPES[unit];
    if (escape == 0 && unit >= ' ') {
      array[size++] = (byte) unit;
      return;
    }
    array[size++] = '\\';
    if (escape != 0) {
      array[size++] = escape;
      return;
    }
    array[size++] = 'u';
    array[size++] = '0';
    array[size++] = '0';
    array[size++] = HEX[unit >> 4];
    array[size++] = HEX[unit & 0xf];
  }

  /** `"yyyy-mm-dd hh:mm:ss.mmm"` in UTC, of a time that the store can hold. */
  void putTime(long ms) {
    LocalDate day = LocalDate.ofEpochDay(Math.floorDiv(ms, DAY_MS));
    int inDay = Math.floorMod(ms, DAY_MS);
    put('"');
    putDigits(day.getYear(), 1000);
    put('-');
    putDigits(day.getMonthValue(), 10);
    put('-');
    putDigits(day.getDayOfMonth(), 10);
    put(' ');
    putDigits(inDay / 3_600_000, 10);
    put(':');
    putDigits(inDay / 60_000 % 60, 10);
    put(':');
    putDigits(inDay / 1000 % 60, 10);
    put('.');
    putDigits(inDay % 1000, 100);
    put('"');
  }

  private void putDigits(int number, int highest) {
    for (int place = highest; place > 0; place /= 10) put((char) ('0' + number / place % 10));
  }

  private void reserve(int more) {
    int needed = Math.addExact(size, more);
    if (needed > array.length) array = Arrays.copyOf(array, Math.max(needed, array.length * 2));
  }

  /**
   * How many bytes the character has that begins here; less than 0 when none does: then so many are
   * one part that is no UTF-8. Java's own decoder cuts such bytes into other parts.
   */
  static int characterAt(byte[] bytes, int at, int end) {
    int first = bytes[at] & 0xff;
    if (first < 0x80) return 1;
    if (first < 0xc2 || first > 0xf4) return -1;
    int length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    int min = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    int max = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    for (int i = 1; i < length; i++) {
      if (at + i == end) return -i;
      int next = bytes[at + i] & 0xff;
      if (next < min || next > max) return -i;
      min = 0x80;
      max = 0xbf;
    }
    return length;
  }
}
