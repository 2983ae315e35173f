/**
 * The same statements on a replicated cluster: readers and writers go on naming the same tables.
 * docs/decisions/0008-cluster.md says why each one is kept as it is.
 *   records          on each shard, replicated, as `records_local`; `records` is Distributed over them
 *   owners           in Keeper, and read past every cache by the dictionary `owners_now`
 *   all the others   small, and whole on every server
 */

export interface Cluster {
  name: string;
  database: string;
}

/** One log partition lies on one shard, so that a batch is one part there as well. */
const SHARD = 'toUInt64(log_id) * 65536 + log_partition';
/** May read `owners` and nothing else; a dictionary logs in as somebody, and passwords are not for DDL. */
const FENCE_USER = 'clickstream_fence';

/** For every statement of this client. */
export const CLUSTER_SETTINGS = {
  // Else an INSERT is confirmed when it is queued on the server that has taken it.
  distributed_foreground_insert: 1,
  parallel_distributed_insert_select: '0',
  // The same replica for writing and reading, as long as it answers.
  load_balancing: 'in_order',
  distributed_product_mode: 'global',
  // A deletion reads from `removals` and `records` what nobody changes meanwhile.
  allow_nondeterministic_mutations: 1,
} as const;

/** A statement that changes something, as one or more for the cluster. */
export function forCluster(sql: string, cluster: Cluster): string[] {
  const { name, database } = cluster;
  const on = `ON CLUSTER ${name}`;
  const [, what = '', table = ''] =
    /^\s*(CREATE DATABASE|CREATE TABLE|CREATE VIEW|ALTER TABLE)(?: IF NOT EXISTS)? (\S+)/.exec(
      sql,
    ) ?? [];
  const placed = (as: string): string => sql.replace(table, `${as} ${on}`);
  if (what === 'CREATE DATABASE' || what === 'CREATE VIEW') return [placed(table)];
  if (what === 'CREATE TABLE' && table === 'owners') return owners(placed(table), cluster);
  if (what === 'CREATE TABLE' && table !== 'records')
    return [replicated(placed(table), cluster, '', '{shard}-{replica}')];
  if (table !== 'records') return [sql];
  const local = `${table}_local`;
  if (what === 'ALTER TABLE' && !/\bADD\b/.test(sql)) return [placed(local)];
  const changed = placed(local).replace("joinGet('owners',", `dictGet('${database}.owners_now',`);
  return [
    what === 'CREATE TABLE' ? replicated(changed, cluster, '/{shard}', '{replica}') : changed,
    // It holds nothing, and takes the columns that the local one has by now.
    `CREATE OR REPLACE TABLE ${table} ${on} AS ${database}.${local}
     ENGINE = Distributed('${name}', '${database}', '${local}', ${SHARD})`,
  ];
}

function owners(sql: string, { name, database }: Cluster): string[] {
  return [
    sql.replace(
      /ENGINE = Join[\s\S]*$/,
      `ENGINE = KeeperMap('/clickstream/${name}/${database}/owners') PRIMARY KEY log_key`,
    ),
    `CREATE DICTIONARY IF NOT EXISTS owners_now ON CLUSTER ${name} (log_key UInt64, owner UInt64 DEFAULT 0)
     PRIMARY KEY log_key
     SOURCE(CLICKHOUSE(USER '${FENCE_USER}' DB '${database}' TABLE 'owners'))
     LAYOUT(DIRECT())`,
  ];
}

/** The path is written out: a table that is made later on a new server must meet the others. */
function replicated(sql: string, { name }: Cluster, shard: string, replica: string): string {
  const path = `/clickstream/${name}/{database}/{table}${shard}`;
  return sql
    .replace('ENGINE = MergeTree', `ENGINE = ReplicatedMergeTree('${path}', '${replica}')`)
    .replace('non_replicated_deduplication_window', 'replicated_deduplication_window');
}

/** A question, where it is about what each server does. */
export function askAllServers(sql: string, { name }: Cluster): string {
  return sql.replace(
    /\bFROM (system\.(?:mutations|processes))\b/g,
    `FROM clusterAllReplicas('${name}', $1)`,
  );
}

/** Makes every server have what any of them has confirmed. */
export function syncReplicas({ name, database }: Cluster): string[] {
  return ['records_local', 'logs', 'removals'].map(
    (table) => `SYSTEM SYNC REPLICA ON CLUSTER ${name} ${database}.${table} LIGHTWEIGHT`,
  );
}
