/**
 * The text of one member of a JSON object, as it stands there. What is copied cannot come out
 * differently in another language: numbers, the order of names and escapes stay as they were.
 */

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const SPACE = 0x20;
const BRACE = 0x7b;
const BRACE_END = 0x7d;
const BRACKET = 0x5b;
const BRACKET_END = 0x5d;

/**
 * @param json An object that has been parsed. Of several members of a name the last one counts.
 * @param name Of letters.
 */
export function memberText(json: string, name: string): string | undefined {
  const quoted = `"${name}"`;
  // Then a name may be written in other ways.
  const isEscaped = json.includes('\\u');
  let found: string | undefined;
  // Behind the brace that opens it.
  let at = afterSpace(json, afterSpace(json, 0) + 1);
  while (json.charCodeAt(at) === QUOTE) {
    const nameEnd = textEnd(json, at);
    const isIt = isEscaped
      ? JSON.parse(json.slice(at, nameEnd)) === name
      : nameEnd - at === quoted.length && json.startsWith(quoted, at);
    const from = afterSpace(json, afterSpace(json, nameEnd) + 1);
    const to = valueEnd(json, from);
    if (isIt) {
      found = json.slice(from, to);
      // Nearly always it is the only one, and most of the object stands behind it.
      if (!isEscaped && !json.includes(quoted, to)) break;
    }
    at = afterSpace(json, to);
    if (json.charCodeAt(at) === COMMA) at = afterSpace(json, at + 1);
  }
  return found;
}

function afterSpace(json: string, at: number): number {
  let end = at;
  while (json.charCodeAt(end) <= SPACE) end++;
  return end;
}

/** Behind the quote that closes the text whose first quote stands at `at`. */
function textEnd(json: string, at: number): number {
  for (let quote = json.indexOf('"', at + 1); ; quote = json.indexOf('"', quote + 1)) {
    let before = quote - 1;
    while (json.charCodeAt(before) === BACKSLASH) before--;
    if ((quote - 1 - before) % 2 === 0) return quote + 1;
  }
}

function valueEnd(json: string, at: number): number {
  const first = json.charCodeAt(at);
  if (first === QUOTE) return textEnd(json, at);
  let end = at;
  if (first !== BRACE && first !== BRACKET) {
    while (!endsValue(json.charCodeAt(end))) end++;
    return end;
  }
  let depth = 0;
  do {
    const char = json.charCodeAt(end);
    if (char === QUOTE) {
      end = textEnd(json, end);
      continue;
    }
    if (char === BRACE || char === BRACKET) depth++;
    else if (char === BRACE_END || char === BRACKET_END) depth--;
    end++;
  } while (depth > 0);
  return end;
}

function endsValue(char: number): boolean {
  return char === COMMA || char === BRACE_END || char === BRACKET_END || char <= SPACE;
}
