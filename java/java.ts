/**
 * The programs that a real Kafka or Spark needs on this machine, and what to say where one is
 * missing: Java always, Maven for the first download. What JVMs get of the environment is said here.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Needs, ProgramError } from '../local/error.ts';

const run = promisify(execFile);

const JAVA_MAJOR_MIN = 17;

export interface Java {
  /** The program, by its path or as PATH finds it. */
  readonly program: string;
  /** All that it says of its version: another text may need another class archive. */
  readonly version: string;
}

/** The major version in what `java -version` prints; undefined when that is something else. */
export function javaMajor(text: string): number | undefined {
  const [, first, second] = /version "(\d+)(?:\.(\d+))?/.exec(text) ?? [];
  if (first === undefined) return undefined;
  // Up to 8 it called itself 1.x.
  return first === '1' ? Number(second) : Number(first);
}

/** @throws ProgramError when there is none, or an older one. */
export async function findJava(needs: Needs): Promise<Java> {
  const home = process.env.JAVA_HOME;
  const program = home === undefined ? 'java' : join(home, 'bin', 'java');
  // It writes to standard error. On macOS a stub of that name is there without any Java.
  const version = await run(program, ['-version'], { env: jvmEnvironment() }).then(
    ({ stderr }) => stderr,
    () => '',
  );
  const major = javaMajor(version);
  const install = `install Java ${JAVA_MAJOR_MIN} or later (a package such as openjdk-17-jre-headless) or let JAVA_HOME name one`;
  const where = home === undefined ? 'PATH has no Java' : `JAVA_HOME (${home}) has no Java`;
  if (major === undefined) throw new ProgramError(`${needs} needs Java, and ${where}: ${install}.`);
  if (major < JAVA_MAJOR_MIN)
    throw new ProgramError(`This Java is version ${major}, too old for ${needs}: ${install}.`);
  return { program, version };
}

/** @throws ProgramError with `otherwise` when the Java here has no such tool: some packages leave them out. */
export async function findTool(
  name: 'keytool' | 'javac' | 'jar' | 'jcmd',
  otherwise: string,
): Promise<string> {
  const home = process.env.JAVA_HOME;
  const program = home === undefined ? name : join(home, 'bin', name);
  try {
    await run(program, [name === 'keytool' ? '-help' : '--help'], { env: jvmEnvironment() });
    return program;
  } catch (cause) {
    throw new ProgramError(otherwise, { cause });
  }
}

/** @throws ProgramError when there is none. */
export async function findMaven(needs: Needs): Promise<string> {
  try {
    await run('mvn', ['-v'], { env: mavenEnvironment() });
    return 'mvn';
  } catch (cause) {
    throw new ProgramError(
      `${needs} is fetched through Maven once, and PATH has no mvn that runs: install Maven 3.6.3 or later (a package such as maven).`,
      { cause },
    );
  }
}

/** Maven has settings of its own, which may lie anywhere in it. */
export function mavenEnvironment(): NodeJS.ProcessEnv {
  return process.env;
}

/** JVMs take nothing from it: options that are meant for another Java could change them. */
export function jvmEnvironment(): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH };
}
