/**
 * Settings: one table (name, default, check, sentence), read once and frozen.
 * `--help` and docs/configuration.md are printed from it; nothing else reads the environment.
 */
import { AppError } from './base/errors.ts';
import { LOG_LEVELS } from './base/logger.ts';

interface Setting<T> {
  default: string;
  /** The value of a text, or undefined when the text is not allowed. */
  read(text: string): T | undefined;
  /** What is allowed, for the error and the help. */
  allows: string;
  says: string;
  /** What an error says in place of a value that holds a secret. */
  conceal?(value: string): string;
}

const oneOf = <T extends string>(
  values: readonly T[],
  more: { default: T; says: string },
): Setting<T> => ({
  ...more,
  read: (text) => values.find((value) => value === text),
  allows: values.join(', '),
});

const integer = (
  min: number,
  max: number,
  more: { default: string; says: string },
): Setting<number> => ({
  ...more,
  read: (text) => (/^\d+$/.test(text) && +text >= min && +text <= max ? +text : undefined),
  allows: `a whole number from ${min} to ${max}`,
});

const text = (
  allows: string,
  test: RegExp,
  more: { default: string; says: string; conceal?: () => string },
): Setting<string> => ({
  ...more,
  read: (value) => (test.test(value) ? value : undefined),
  allows,
});

const ROLES = ['collect', 'process', 'query'] as const;
export type Role = (typeof ROLES)[number];

export const SETTINGS = {
  CLICKSTREAM_PORT: integer(0, 65535, {
    default: '3900',
    says: 'port of the collector, the API and the dashboard',
  }),
  CLICKSTREAM_HOST: text('an address of this machine', /^[\w.:-]+$/, {
    default: '127.0.0.1',
    says: 'address to listen on; any but a loopback address needs keys and a login',
  }),
  CLICKSTREAM_DATA: text('a folder', /\S/, {
    default: './data',
    says: 'folder of everything that is kept',
  }),
  CLICKSTREAM_LOG: text(
    'file:<folder>[?partitions=N] or kafka://host:port,host:port/topic[?partitions=N…]',
    /^(file:|kafka:\/\/)/,
    {
      default: 'file:log',
      says: 'the log; a relative folder lies in CLICKSTREAM_DATA',
    },
  ),
  CLICKSTREAM_KAFKA_LOGIN: text('user:password, or empty', /^$|^[^:]+:.+$/, {
    default: '',
    says: 'user and password for the brokers (SASL), where the address names none',
  }),
  CLICKSTREAM_KAFKA_ACK_MS: integer(1_000, 120_000, {
    default: '12000',
    says: 'how long an event waits for the brokers; longer than they take to elect a leader (Kafka: 9 s)',
  }),
  CLICKSTREAM_KAFKA_SESSION_MS: integer(1_000, 300_000, {
    default: '6000',
    says: 'after so long without a sign of life the partitions of a processor go to others',
  }),
  CLICKSTREAM_STORE: {
    default: 'engine:store',
    read: (value: string) => {
      if (/^engine:./.test(value)) return value;
      const url = /^https?:\/\/./.test(value) ? URL.parse(value) : null;
      // A % in user or password that stands for nothing.
      if (/%(?![\da-f]{2})/i.test(value)) return undefined;
      return url !== null && /^\/\w*$/.test(url.pathname) ? value : undefined;
    },
    allows: 'engine:<folder> or http://user:password@host:8123/database',
    says: 'the store; a relative folder lies in CLICKSTREAM_DATA',
    conceal: (value: string) => value.replace(/.*@/s, '…@'),
  } satisfies Setting<string> as Setting<string>,
  CLICKSTREAM_STORE_CLUSTER: text('a name of letters, digits and _, or empty', /^\w*$/, {
    default: '',
    says: 'the cluster that CLICKSTREAM_STORE is a server of: the tables are made replicated on all of it; a store keeps what it began with',
  }),
  CLICKSTREAM_ENGINE_PORT: integer(0, 65535, {
    default: '8123',
    says: 'port of the embedded engine (ClickHouse HTTP), always on 127.0.0.1',
  }),
  CLICKSTREAM_ENGINE_MEMORY_MB: integer(256, 1048576, {
    default: '640',
    says: 'memory the embedded engine may use',
  }),
  CLICKSTREAM_ENGINE_READERS: integer(1, 32, {
    default: '3',
    says: 'queries the embedded engine answers side by side',
  }),
  CLICKSTREAM_ENGINE_USER: text('uid:gid in numbers, or empty', /^$|^[1-9]\d{0,9}:[1-9]\d{0,9}$/, {
    default: '',
    says: 'when started as root: user and group that the embedded engine runs as',
  }),
  CLICKSTREAM_ROLES: {
    default: ROLES.join(','),
    read: (value: string) => {
      const roles = value.split(',').map((role) => ROLES.find((known) => known === role.trim()));
      return roles.includes(undefined) ? undefined : (roles as Role[]);
    },
    allows: `one or more of ${ROLES.join(', ')}, with commas`,
    says: 'what this process does',
  } satisfies Setting<Role[]> as Setting<Role[]>,
  CLICKSTREAM_KEYS: {
    default: '',
    read: (value: string) => {
      const keys = new Map<string, string>();
      for (const pair of value.split(',').filter(Boolean)) {
        const [project, key, ...rest] = pair.split(':');
        if (
          !project ||
          !/^[a-z0-9_-]{1,64}$/.test(project) ||
          !key ||
          key.length < 8 ||
          keys.has(key) ||
          rest.length > 0
        )
          return undefined;
        keys.set(key, project);
      }
      return keys;
    },
    allows: 'project:key pairs with commas, each key once and of 8 characters or more',
    says: 'write keys; on a loopback address shop:shop-dev-key if none is given',
    conceal: () => '…',
  } satisfies Setting<Map<string, string>> as Setting<Map<string, string>>,
  CLICKSTREAM_SOURCE: text(
    'kafka://host:port,host:port/topic[?group=NAME…], or empty',
    /^$|^kafka:\/\//,
    {
      default: '',
      says: 'a topic that others fill with events, read by every process that collects',
    },
  ),
  CLICKSTREAM_SOURCE_PROJECT: text(
    'a project of CLICKSTREAM_KEYS, or empty',
    /^[a-z0-9_-]{0,64}$/,
    {
      default: '',
      says: 'project of the events of that topic; the first of CLICKSTREAM_KEYS if empty',
    },
  ),
  CLICKSTREAM_LOGIN: text(
    'user:password, a password of 12 characters or more, or empty',
    /^$|^[^:]+:.{12,}$/,
    {
      default: '',
      says: 'user and password for reading (HTTP Basic); not needed on a loopback address',
      conceal: () => '…',
    },
  ),
  CLICKSTREAM_BATCH_ROWS: integer(1, 100_000, {
    default: '20000',
    says: 'most rows of one insert',
  }),
  // As rows, quotes within quotes, it can be twice as much: the engine takes 64 MiB.
  CLICKSTREAM_BATCH_BYTES: integer(1_000, 16_777_216, {
    default: '16777216',
    says: 'most bytes of one insert',
  }),
  CLICKSTREAM_BATCH_MS: integer(1, 60_000, {
    default: '40',
    says: 'shortest time between two inserts of a process, in ms',
  }),
  CLICKSTREAM_WINDOW_HOURS: integer(1, 8760, {
    default: '24',
    says: 'how long a repeated event id is recognised',
  }),
  CLICKSTREAM_WINDOW_MB: integer(16, 16_384, {
    default: '256',
    says: 'memory for the event ids of that window; those that do not fit are looked up in the store',
  }),
  CLICKSTREAM_LOG_SEGMENT_MB: integer(1, 4096, {
    default: '64',
    says: 'size of one segment file of the log',
  }),
  CLICKSTREAM_LOG_KEEP_HOURS: integer(1, 87_600, {
    default: '24',
    says: 'how long processed records stay on the log; whole segments go',
  }),
  CLICKSTREAM_LOG_KEEP_MB: integer(64, 1_048_576, {
    default: '1024',
    says: 'how many processed records stay on the log; the last hour always does',
  }),
  CLICKSTREAM_SPOOL_MB: integer(0, 1_048_576, {
    default: '1024',
    says: 'how much a collector keeps in CLICKSTREAM_DATA while a log that is not its own (not file:) is away; 0 keeps nothing',
  }),
  CLICKSTREAM_SPOOL_HOURS: integer(1, 8760, {
    default: '12',
    says: 'how old that may become before no more is taken; less than CLICKSTREAM_WINDOW_HOURS',
  }),
  CLICKSTREAM_KEEP_DAYS: integer(0, 36_500, {
    default: '0',
    says: 'how long events are kept in the store; 0 is for ever',
  }),
  CLICKSTREAM_SPARK_TRIGGER_MS: integer(0, 3_600_000, {
    default: '0',
    says: 'Spark: shortest time from one batch to the next, in ms; 0: as soon as the last one is done',
  }),
  CLICKSTREAM_SPARK_RECORDS: integer(1, 1_000_000, {
    default: '1000',
    says: 'Spark: most records of a batch, all partitions together',
  }),
  CLICKSTREAM_SPARK_CORES: integer(1, 64, {
    default: '2',
    says: 'Spark: cores of each worker, so how many partitions it works on at a time',
  }),
  // Spark refuses heaps below 450 MB.
  CLICKSTREAM_SPARK_EXECUTOR_MB: integer(512, 1_048_576, {
    default: '512',
    says: 'Spark: heap of the executor on each worker',
  }),
  CLICKSTREAM_SPARK_DRIVER_MB: integer(512, 1_048_576, {
    default: '512',
    says: 'Spark: heap of the job’s own process',
  }),
  CLICKSTREAM_TRUST_PROXY: oneOf(['no', 'yes'], {
    default: 'no',
    says: 'yes: the address of the client is the last of X-Forwarded-For',
  }),
  CLICKSTREAM_LOG_LEVEL: oneOf(LOG_LEVELS, {
    default: 'info',
    says: 'what is written to standard error',
  }),
} as const;

export type Config = {
  readonly [name in keyof typeof SETTINGS]: Exclude<
    ReturnType<(typeof SETTINGS)[name]['read']>,
    undefined
  >;
};

/** What a setting of an earlier version has become. */
const RENAMED = new Map([['CLICKSTREAM_WINDOW_IDS', 'CLICKSTREAM_WINDOW_MB']]);

/**
 * The settings of `environment`, checked.
 * @throws AppError `bad_setting` with the name, the value and what is allowed.
 */
export function readConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  for (const name of Object.keys(environment)) {
    if (
      name.startsWith('CLICKSTREAM_') &&
      !name.startsWith('CLICKSTREAM_TEST_') &&
      !(name in SETTINGS)
    ) {
      const now = RENAMED.get(name);
      const what = now === undefined ? 'is not a setting' : `is no setting any more, ${now} is`;
      throw new AppError('bad_setting', `${name} ${what}; --help lists them.`, { field: name });
    }
  }
  const config: Record<string, unknown> = {};
  for (const [name, setting] of Object.entries(SETTINGS)) {
    const value = environment[name] ?? setting.default;
    config[name] = setting.read(value);
    if (config[name] === undefined) {
      const shown = setting.conceal?.(value) ?? value;
      throw new AppError('bad_setting', `${name} is "${shown}"; it takes ${setting.allows}.`, {
        field: name,
      });
    }
  }
  const checked = config as Config;
  checkKeepDays(checked);
  if (checked.CLICKSTREAM_STORE_CLUSTER !== '' && checked.CLICKSTREAM_STORE.startsWith('engine:'))
    throw new AppError(
      'bad_setting',
      'CLICKSTREAM_STORE_CLUSTER is set, but the embedded engine is no server of a cluster; set CLICKSTREAM_STORE to one.',
      { field: 'CLICKSTREAM_STORE_CLUSTER' },
    );
  checkSpoolHours(checked);
  if (!isLoopback(checked.CLICKSTREAM_HOST)) {
    for (const [name, empty] of [
      ['CLICKSTREAM_KEYS', checked.CLICKSTREAM_KEYS.size === 0],
      ['CLICKSTREAM_LOGIN', checked.CLICKSTREAM_LOGIN === ''],
    ] as const) {
      if (empty) {
        throw new AppError(
          'bad_setting',
          `CLICKSTREAM_HOST is "${checked.CLICKSTREAM_HOST}", which others can reach, so ${name} must be set.`,
          { field: name },
        );
      }
    }
  } else if (checked.CLICKSTREAM_KEYS.size === 0) {
    checked.CLICKSTREAM_KEYS.set('shop-dev-key', 'shop');
  }
  checkSourceProject(checked);
  return Object.freeze(checked);
}

/** A name with a slip of the pen would be a project that nobody looks at. */
function checkSourceProject({
  CLICKSTREAM_SOURCE_PROJECT: project,
  CLICKSTREAM_KEYS,
}: Config): void {
  const known = new Set(CLICKSTREAM_KEYS.values());
  if (project === '' || known.has(project)) return;
  throw new AppError(
    'bad_setting',
    `CLICKSTREAM_SOURCE_PROJECT is "${project}", which no key of CLICKSTREAM_KEYS names; it takes one of ${[...known].join(', ')}, or nothing for the first.`,
    { field: 'CLICKSTREAM_SOURCE_PROJECT' },
  );
}

/** An event must be in the store for as long as a copy of it, or its record on the log, may ask for it. */
function checkKeepDays(config: Config): void {
  const { CLICKSTREAM_KEEP_DAYS: days, CLICKSTREAM_WINDOW_HOURS: windowHours } = config;
  const logHours = config.CLICKSTREAM_LOG_KEEP_HOURS;
  if (days === 0 || (days * 24 >= windowHours && days * 24 > logHours)) return;
  throw new AppError(
    'bad_setting',
    `CLICKSTREAM_KEEP_DAYS is ${days} days; it takes no less than CLICKSTREAM_WINDOW_HOURS (${windowHours} hours) and more than CLICKSTREAM_LOG_KEEP_HOURS (${logHours} hours), or 0.`,
    { field: 'CLICKSTREAM_KEEP_DAYS' },
  );
}

/** What is sent on so late must still meet its copies in the window. */
export function checkSpoolHours(config: Config): void {
  const { CLICKSTREAM_SPOOL_HOURS: hours, CLICKSTREAM_WINDOW_HOURS: windowHours } = config;
  const hasSpool = config.CLICKSTREAM_SPOOL_MB > 0 && !config.CLICKSTREAM_LOG.startsWith('file:');
  if (!hasSpool || hours < windowHours) return;
  throw new AppError(
    'bad_setting',
    `CLICKSTREAM_SPOOL_HOURS is ${hours} hours; it takes less than CLICKSTREAM_WINDOW_HOURS (${windowHours} hours), or set CLICKSTREAM_SPOOL_MB to 0.`,
    { field: 'CLICKSTREAM_SPOOL_HOURS' },
  );
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\./.test(host);
}

/** The table as text, for `--help`. */
export function settingsHelp(): string {
  return Object.entries(SETTINGS)
    .map(
      ([name, { default: value, allows, says }]) => `  ${name}=${value}\n      ${says} (${allows})`,
    )
    .join('\n');
}
