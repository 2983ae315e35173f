/**
 * A bounded memory of answers: what was used longest ago is forgotten first.
 */

/** `make`, remembered for at most `entriesMax` keys of at most `keyCharsMax` characters. */
export function remember<T extends NonNullable<unknown>>(
  make: (key: string) => T,
  limits: { entriesMax: number; keyCharsMax: number },
): (key: string) => T {
  const known = new Map<string, T>();
  let newest: string | undefined;
  return (key) => {
    const old = known.get(key);
    if (old !== undefined) {
      if (key !== newest) {
        known.delete(key);
        known.set(key, old);
        newest = key;
      }
      return old;
    }
    const made = make(key);
    if (key.length <= limits.keyCharsMax) {
      known.set(key, made);
      newest = key;
      if (known.size > limits.entriesMax) {
        const [oldest] = known.keys();
        if (oldest !== undefined) known.delete(oldest);
      }
    }
    return made;
  };
}
