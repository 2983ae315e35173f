/**
 * SQL from strangers: a `readonly` flag is not a sandbox in this engine (a subquery may switch it
 * off, `file()` is a scalar function too, `INTO OUTFILE` writes), so a reader's statement passes
 * four gates: it is one statement, normalised; its words and its syntax tree hold only what is
 * allowed; its session is limited and read-only; the operating system guards the rest.
 *
 * The tree is read by a list of what is allowed, because the engine does not print all of it: the
 * function of `* APPLY(f)` and the WHERE of SHOW are missing. The words are read for the same names
 * again, so that a place nobody thought of has to be missing from both.
 */
import type { Session } from 'chdb';
import { EngineError, toEngineError } from './errors.ts';
import { literal, textOf } from './sessions.ts';
import { tokens, unquote, words } from './statement.ts';

export interface Gate {
  /** The statement without comments, in the engine's own words. @throws EngineError 62. */
  normalise(session: Session, sql: string): Promise<string>;
  /** `normal` is what `normalise` made, its parameters are bound. @throws EngineError 497. */
  check(session: Session, normal: string): Promise<void>;
}

const SHOWS = ['ShowTables', 'ShowColumns'];
const ROOTS = [
  'SelectWithUnionQuery',
  ...SHOWS,
  'DescribeQuery',
  'ExistsTableQuery',
  'ExistsDatabaseQuery',
  'ExistsViewQuery',
  'Explain',
];
const EXPLAINS = /^Explain EXPLAIN(?: SYNTAX| PLAN| PIPELINE| ESTIMATE| AST| QUERY TREE)? \(/;

/** What may stand below a root. Not `Set`, and not `ColumnsApplyTransformer`: see above. */
const NODES = new Set(
  words(`
  SelectWithUnionQuery SelectIntersectExceptQuery SelectQuery ExpressionList TablesInSelectQuery
  TablesInSelectQueryElement TableExpression TableIdentifier TableJoin ArrayJoin SampleRatio
  Subquery WithElement Function Identifier Literal Asterisk QualifiedAsterisk ColumnsRegexpMatcher
  ColumnsListMatcher QualifiedColumnsRegexpMatcher QualifiedColumnsListMatcher
  ColumnsTransformerList ColumnsExceptTransformer ColumnsReplaceTransformer
  ColumnsReplaceTransformer::Replacement OrderByElement InterpolateElement WindowListElement
  WindowDefinition`),
);

/** Functions of the engine that read files, other servers, memory, settings or secrets, or wait. */
const DENIED = new RegExp(
  `^(?:${words(`
  file filesystem.* dict.* joinGet.* catboost.* evalMLMethod sleep.* address.* demangle flameGraph
  buildId hostname fqdn displayName tid tcpPort getSetting.* getServerPort getMacro
  getServerSetting getClientHTTPHeader getMergeTreeSetting serverUUID showCertificate
  getOSKernelVersion zookeeper.* generateSerialID trace.* logTrace errorCodeToName remote.* ai.*
  llm.* executable.* initializeAggregation currentProfiles enabledProfiles defaultProfiles
  currentRoles enabledRoles defaultRoles authenticatedUser connectionId
  getMaxTableNameLengthForDatabase structureTo.* hasColumnInTable hasThreadFuzzer fuzzQuery
  generateRandomStructure lemmatize synonyms detect.* naiveBayes.* __.*`).join('|')})$`,
  'i',
);
const TABLE_FUNCTIONS = ['numbers', 'zeros', 'values', 'generateseries', 'generate_series'];

const DATABASES = ['clickstream', 'default', 'information_schema', 'INFORMATION_SCHEMA'];
const SYSTEM_TABLES = words(`
  one numbers zeros tables columns databases functions table_functions settings data_type_families
  formats time_zones parts parts_columns build_options keywords aggregate_function_combinators`);

export function createGate(anySession: Session): Gate {
  const names = namesOf(anySession);
  return {
    async normalise(session, sql) {
      refuseSecond(sql);
      try {
        return (await textOf(session, `SELECT formatQuerySingleLine(${literal(sql)})`)).trimEnd();
      } catch (error) {
        // What is wrong is in the reader's text; that it stood in one of ours is nobody's business.
        const { code, message } = toEngineError(error);
        throw new EngineError(
          code,
          message.replace(/: In scope SELECT formatQ[\s\S]*\)(?=\. \()/, ''),
        );
      }
    },
    async check(session, normal) {
      checkWords(normal, names);
      checkTree(await textOf(session, `EXPLAIN AST ${normal}`), normal, names);
    },
  };
}

interface Names {
  isFunction(name: string): boolean;
  /** A function or table function of the engine that is not for readers. */
  isForbidden(name: string): boolean;
}

function namesOf(session: Session): Names {
  const read = (table: string): string[] => {
    const sql = `SELECT lower(name) AS n FROM system.${table} FORMAT JSONColumns`;
    return (JSON.parse(session.query(sql)) as { n: string[] }).n;
  };
  const functions = new Set(read('functions').filter((name) => !DENIED.test(name)));
  functions.add('lambda');
  const combinators = read('aggregate_function_combinators').filter((name) => name !== '');
  const forbidden = new Set(
    read('table_functions').filter((n) => !functions.has(n) && !TABLE_FUNCTIONS.includes(n)),
  );
  return {
    isFunction(name) {
      for (let rest = name.toLowerCase(); ; ) {
        if (functions.has(rest)) return true;
        const ending = combinators.find((c) => rest.endsWith(c) && rest.length > c.length);
        if (ending === undefined) return false;
        rest = rest.slice(0, -ending.length);
      }
    },
    isForbidden: (name) => DENIED.test(name) || forbidden.has(name.toLowerCase()),
  };
}

/** The engine's own words for it are a position in the text. */
function refuseSecond(sql: string): void {
  let isOver = false;
  for (const { text } of tokens(sql)) {
    if (isOver && text !== ';') {
      throw new EngineError(
        62,
        'There is more than one statement; send one at a time. (SYNTAX_ERROR)',
      );
    }
    isOver ||= text === ';';
  }
}

function refuse(what: string, why = 'it may only read the tables of clickstream'): never {
  throw new EngineError(497, `${what} is not allowed for this user: ${why}. (ACCESS_DENIED)`);
}

function checkWords(normal: string, names: Names): void {
  const all = [...tokens(normal)].map(({ text }) => text);
  for (const [i, word] of all.entries()) {
    const name = unquote(word);
    const next = all[i + 1];
    if (word === 'INTO' && next === 'OUTFILE') refuse('INTO OUTFILE');
    if (word === 'SETTINGS' && all[i + 2] === '=') refuse('SETTINGS', 'leave it out');
    if (next === '(' && names.isForbidden(name)) refuse(`The function ${name}`);
    if (name === 'system' && next === '.') checkTable(`system.${unquote(all[i + 2] ?? '')}`);
    // Not in the tree at all: what is asked of the server here is asked of system.tables with SELECT.
    if (all[0] === 'SHOW' && ['(', 'WHERE'].includes(word)) refuse('SHOW with a condition');
  }
}

/** One line a node, a blank more for each level. A line that a name broke is no known node. */
function checkTree(tree: string, normal: string, names: Names): void {
  const lines = tree.split('\n').filter((line) => line.trim() !== '');
  const root = lines[0]?.split(' ')[0] ?? '';
  const [head = root] = /^[A-Z]+(?: [A-Z]+)?/.exec(normal) ?? [];
  if (!ROOTS.includes(root)) refuse(head);
  if (root === 'Explain' && !EXPLAINS.test(lines[0] ?? '')) refuse('This EXPLAIN');
  for (const [i, line] of lines.entries()) {
    if (i === 0) continue;
    const node = line.trimStart();
    const depth = line.length - node.length;
    const [kind = '', name = ''] = node.split(' ');
    if (kind === 'Set') refuse('SETTINGS', 'leave it out');
    if (!NODES.has(kind)) refuse(kind === 'ColumnsApplyTransformer' ? 'APPLY' : kind);
    if (kind === 'Literal' && depth <= 1) refuse('INTO OUTFILE');
    if (kind === 'Function') {
      const isTable = lines[i - 1]?.trimStart().startsWith('TableExpression ') ?? false;
      const isKnown = isTable
        ? TABLE_FUNCTIONS.includes(name.toLowerCase())
        : names.isFunction(name);
      if (!isKnown) refuse(`The function ${name}`);
    }
    // `x IN system.processes` has a plain identifier where a table is meant.
    const written = node.slice(kind.length + 1).replace(/ \((alias|children) [\s\S]*$/, '');
    if (kind === 'TableIdentifier') checkTable(written.includes('.') ? written : 'clickstream.');
    if (kind === 'Identifier' && written.startsWith('system.')) checkTable(written);
  }
}

function checkTable(identifier: string): void {
  const [database = '', table = ''] = identifier.split('.');
  const isKnown =
    database === 'system' ? SYSTEM_TABLES.includes(table) : DATABASES.includes(database);
  if (!isKnown) refuse(`The table ${identifier}`);
}
