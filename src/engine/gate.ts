/**
 * SQL from strangers: a `readonly` flag is not a sandbox in this engine (a subquery may switch it
 * off, `file()` is a scalar function too, `INTO OUTFILE` writes), so a reader's statement passes
 * four gates: it is one statement, normalised; its syntax tree holds only allowed nodes, functions
 * and databases; its session is limited and read-only; the operating system guards the rest.
 */
import type { Session } from 'chdb';
import { EngineError } from './errors.ts';
import { literal, runOn } from './sessions.ts';

export interface Gate {
  /** The normalised statement. @throws EngineError 497 when it may not run, 62 when it is not one. */
  pass(session: Session, sql: string, parameters: ReadonlyMap<string, string>): Promise<string>;
}

const ROOTS = [
  'SelectWithUnionQuery',
  'ShowTables',
  'ShowColumns',
  'DescribeQuery',
  'ExistsTableQuery',
  'ExistsDatabaseQuery',
  'ExistsViewQuery',
  'Explain',
];

/** Functions of the engine that read files, other servers, memory, settings or secrets, or wait. */
const DENIED =
  /^(file|filesystem.*|dict.*|joinGet.*|catboost.*|evalMLMethod|sleep.*|address.*|demangle|buildId|hostname|fqdn|tcpPort|getSetting.*|getServerPort|getMacro|getServerSetting|getClientHTTPHeader|getMergeTreeSetting|serverUUID|showCertificate|getOSKernelVersion|zookeeper.*|trace.*|logTrace|errorCodeToName|remote.*|ai.*|llm.*|executable.*|initializeAggregation|currentProfiles|enabledProfiles|defaultProfiles|currentRoles|enabledRoles|defaultRoles|connectionId|getMaxTableNameLengthForDatabase|structureTo.*|hasColumnInTable|hasThreadFuzzer|generateRandomStructure|lemmatize|synonyms|detect.*|naiveBayes.*|__.*)$/i;
const TABLE_FUNCTIONS = ['numbers', 'zeros', 'values', 'generateSeries', 'generate_series'];

const SYSTEM_TABLES = [
  'one',
  'numbers',
  'zeros',
  'tables',
  'columns',
  'databases',
  'functions',
  'table_functions',
  'settings',
  'data_type_families',
  'formats',
  'time_zones',
  'parts',
  'parts_columns',
  'build_options',
  'keywords',
  'aggregate_function_combinators',
];

export function createGate(anySession: Session): Gate {
  const names = JSON.parse(
    anySession.query('SELECT lower(name) AS n FROM system.functions FORMAT JSONColumns'),
  ) as { n: string[] };
  const combinators = JSON.parse(
    anySession.query(
      'SELECT lower(name) AS n FROM system.aggregate_function_combinators FORMAT JSONColumns',
    ),
  ) as { n: string[] };
  const allowed = new Set([
    ...names.n.filter((name) => !DENIED.test(name)),
    ...TABLE_FUNCTIONS.map((n) => n.toLowerCase()),
    'lambda',
  ]);
  const isAllowed = (name: string): boolean => {
    for (let rest = name.toLowerCase(); ; ) {
      if (allowed.has(rest)) return true;
      const suffix = combinators.n.find(
        (c) => c !== '' && rest.endsWith(c) && rest.length > c.length,
      );
      if (suffix === undefined) return false;
      rest = rest.slice(0, -suffix.length);
    }
  };
  return {
    async pass(session, sql, parameters) {
      const normal = (
        await runOn(session, `SELECT formatQuerySingleLine(${literal(sql)})`, 'TSVRaw', new Map())
      )
        .text()
        .trimEnd();
      const tree = (await runOn(session, `EXPLAIN AST ${normal}`, 'TSVRaw', parameters)).text();
      checkTree(tree, isAllowed);
      return normal;
    },
  };
}

function refuse(what: string): never {
  throw new EngineError(497, `${what} is not allowed for this user. (ACCESS_DENIED)`);
}

/** One line a node, a blank more for each level; names of nodes and tables are never broken. */
function checkTree(tree: string, isAllowedFunction: (name: string) => boolean): void {
  const lines = tree.split('\n').filter((line) => line.trim() !== '');
  const root = /^\s*(\w+)/.exec(lines[0] ?? '')?.[1] ?? '';
  if (!ROOTS.includes(root)) refuse(`A statement of the kind ${root}`);
  if (
    root === 'Explain' &&
    !/^Explain EXPLAIN(?: SYNTAX| PLAN| PIPELINE| ESTIMATE| AST| QUERY TREE)? \(/.test(
      lines[0] ?? '',
    )
  )
    refuse('This EXPLAIN');
  const baseDepth = depthOf(lines[1] ?? '');
  for (const [i, line] of lines.entries()) {
    const node = line.trim();
    const [kind = '', name = ''] = node.split(' ');
    if (kind === 'Set') refuse('SETTINGS in a statement');
    if (
      i > 0 &&
      kind === 'Literal' &&
      depthOf(line) <= baseDepth &&
      root === 'SelectWithUnionQuery'
    )
      refuse('INTO OUTFILE');
    if (kind === 'Function' && !isAllowedFunction(name)) refuse(`The function ${name}`);
    if (kind === 'TableIdentifier')
      checkTable(node.slice('TableIdentifier '.length).replace(/ \((alias|children) [\s\S]*$/, ''));
    if (
      /^(Explain|KillQuery|Backup|Insert|Create|Drop|Alter|System|TableOverride|Storage)/.test(
        kind,
      ) &&
      i > 0
    )
      refuse(kind);
  }
}

function depthOf(line: string): number {
  return line.length - line.trimStart().length;
}

function checkTable(identifier: string): void {
  const [database, table] = identifier.includes('.')
    ? identifier.split(/\.(.*)/s)
    : ['clickstream', identifier];
  const name = (database ?? '').toLowerCase();
  if (['clickstream', 'information_schema', 'default'].includes(name)) return;
  if (name === 'system' && SYSTEM_TABLES.includes(table ?? '')) return;
  refuse(`The table ${identifier}`);
}
