/**
 * A bounded memory of answers. Two generations: what is used moves into the young one; when that is
 * full it becomes the old one, and what was old and not used since is forgotten. A hit costs one
 * look-up and moves nothing.
 */

/** `make`, remembered for at most `entriesMax` keys of at most `keyCharsMax` characters. */
export function remember<T extends NonNullable<unknown>>(
  make: (key: string) => T,
  limits: { entriesMax: number; keyCharsMax: number },
): (key: string) => T {
  const generationMax = limits.entriesMax / 2;
  let young = new Map<string, T>();
  let old = young;
  return (key) => {
    const known = young.get(key);
    if (known !== undefined) return known;
    const answer = old.get(key) ?? make(key);
    if (key.length > limits.keyCharsMax) return answer;
    if (young.size >= generationMax) {
      old = young;
      young = new Map();
    }
    young.set(key, answer);
    return answer;
  };
}
