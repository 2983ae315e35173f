/**
 * Reads just enough of a SQL statement to route it: what kind it is, its trailing FORMAT, whether
 * it has SETTINGS of its own, its `{name:Type}` placeholders, and the head of an INSERT. A lexer,
 * not a search for words, because all of these may stand in strings and comments as well.
 */

export interface Statement {
  kind: 'read' | 'insert' | 'write';
  /** The statement without a trailing FORMAT and semicolon. */
  sql: string;
  /** The FORMAT that was written, if one was. */
  format: string | undefined;
  /** True when a SETTINGS clause ends the statement, so that more are added with a comma. */
  endsInSettings: boolean;
  placeholders: string[];
  insert: InsertHead | undefined;
}

interface InsertHead {
  /** As written, quotes and database included. */
  table: string;
  columns: string[];
  settings: Record<string, string>;
  format: string;
  /** Where the data begin in the text given to `readStatement`. */
  dataAt: number;
}

interface Token {
  text: string;
  start: number;
  end: number;
}

/** What is not closed reaches to the end: no text makes this read the same characters twice. */
const TOKEN = new RegExp(
  [
    /\s+|--[^\n]*|#[ !][^\n]*|\/\*[\s\S]*?(?:\*\/|$)/.source,
    ...["'", '`', '"'].map((q) => `${q}(?:[^${q}\\\\]|\\\\[\\s\\S]?|${q}${q})*(?:${q}|$)`),
    /\$(\w*)\$[\s\S]*?(?:\$\1\$|$)|[A-Za-z_]\w*|\d[\w.]*|[\s\S]/.source,
  ].join('|'),
  'y',
);

/** Tokens of a statement, blanks and comments left out. */
export function* tokens(sql: string, from = 0): Generator<Token> {
  TOKEN.lastIndex = from;
  for (let start = from; start < sql.length; start = TOKEN.lastIndex) {
    TOKEN.lastIndex = start;
    const text = TOKEN.exec(sql)?.[0] ?? '';
    const end = start + text.length;
    if (!/^(?:\s|--|#[ !]|\/\*)/.test(text)) yield { text, start, end };
    TOKEN.lastIndex = end;
  }
}

const READS = ['SELECT', 'WITH', 'SHOW', 'DESCRIBE', 'DESC', 'EXISTS', 'EXPLAIN', 'FROM'];

/** @throws SyntaxError when an INSERT's head cannot be read. */
export function readStatement(text: string): Statement {
  const first = firstWord(text);
  if (first === 'INSERT') {
    const insert = readInsert(text);
    const common = { format: insert?.format, endsInSettings: false, placeholders: [] };
    if (insert !== undefined) return { kind: 'insert', sql: text, insert, ...common };
    return { ...readTail(text), kind: 'write', insert: undefined };
  }
  const kind = READS.includes(first) ? 'read' : 'write';
  return { ...readTail(text), kind, insert: undefined };
}

export function firstWord(text: string): string {
  for (const token of tokens(text)) if (token.text !== '(') return token.text.toUpperCase();
  return '';
}

function readTail(text: string) {
  const all = [...tokens(text)];
  while (all.at(-1)?.text === ';') all.pop();
  const placeholders: string[] = [];
  let depth = 0;
  let formatAt: number | undefined;
  let settingsAt: number | undefined;
  for (const [i, token] of all.entries()) {
    const word = token.text.toUpperCase();
    if ('([{'.includes(word)) depth++;
    else if (')]}'.includes(word)) depth--;
    const name = all[i + 1]?.text ?? '';
    // A name is a plain word and nothing else: it is put into a statement of ours.
    if (word === '{' && all[i + 2]?.text === ':' && /^[A-Za-z_]\w*$/.test(name))
      placeholders.push(name);
    if (depth !== 0) continue;
    const isLast = i === all.length - 2;
    if (word === 'FORMAT' && (isLast || all[i + 2]?.text.toUpperCase() === 'SETTINGS'))
      formatAt = i;
    else if (word === 'SETTINGS' && i > 0) settingsAt = i;
    else if (['SELECT', 'UNION', 'INTERSECT', 'EXCEPT'].includes(word)) settingsAt = undefined;
  }
  const name = formatAt === undefined ? undefined : all[formatAt + 1];
  const keyword = formatAt === undefined ? undefined : all[formatAt];
  const endsInSettings = settingsAt !== undefined;
  const end = all.at(-1)?.end ?? 0;
  if (keyword === undefined || name === undefined) {
    return { sql: text.slice(0, end), format: undefined, endsInSettings, placeholders };
  }
  // SETTINGS may stand behind FORMAT; what is left without it reads the same.
  const sql = `${text.slice(0, keyword.start)} ${text.slice(name.end, end)}`.trimEnd();
  return { sql, format: name.text, endsInSettings, placeholders };
}

/** The head of `INSERT INTO t (a, b) SETTINGS x = 1 FORMAT f` + data; undefined for other INSERTs. */
function readInsert(text: string): InsertHead | undefined {
  const all = tokens(text);
  const next = (): Token => all.next().value ?? { text: '', start: text.length, end: text.length };
  next(); // INSERT
  let token = next();
  if (token.text.toUpperCase() === 'INTO') token = next();
  if (token.text.toUpperCase() === 'TABLE') token = next();
  if (token.text.toUpperCase() === 'FUNCTION') return undefined;
  let table = token.text;
  for (token = next(); token.text === '.'; token = next()) table += `.${next().text}`;
  const columns: string[] = [];
  if (token.text === '(') {
    for (token = next(); token.text !== ')'; token = next()) {
      if (token.text === '') throw new SyntaxError('the list of columns does not end');
      if (token.text !== ',') columns.push(unquote(token.text));
    }
    token = next();
  }
  const settings: Record<string, string> = {};
  if (token.text.toUpperCase() === 'SETTINGS') {
    do {
      const name = next().text;
      if (next().text !== '=') throw new SyntaxError(`the setting ${name} has no value`);
      token = next();
      settings[name] = token.text === '-' ? `-${next().text}` : unquote(token.text);
      token = next();
    } while (token.text === ',');
  }
  if (token.text.toUpperCase() !== 'FORMAT') return undefined;
  const format = next();
  const newline = /^[^\S\n]*\r?\n/.exec(text.slice(format.end, format.end + 64));
  return {
    table,
    columns,
    settings,
    format: format.text,
    dataAt: format.end + (newline?.[0].length ?? 0),
  };
}

export function unquote(text: string): string {
  return /^['"`]/.test(text) ? text.slice(1, -1).replaceAll(/\\([\s\S])/g, '$1') : text;
}

/** A list, written as people write one. */
export function words(text: string): string[] {
  return text.trim().split(/\s+/);
}
