/**
 * The tests of spark/test, run by JUnit: what the Spark job makes of a record is what the processor
 * in src/process makes of it. They need a hundredth of what Spark needs, so they have a pom.xml of
 * their own. Skipped, with the reason, where Java cannot compile them.
 */
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fetchJars } from '../java/fetch-jars.ts';
import { findJava, findMaven, findTool, jvmEnvironment } from '../java/java.ts';
import { CACHES, shortHash, withLock } from '../local/cache.ts';
import { ProgramError } from '../local/error.ts';
import { run } from '../local/run.ts';
import { COLUMNS } from '../src/process/row.ts';
import { removeFolder, temporaryFolder } from '../test/system.ts';

const FIXTURES = join(import.meta.dirname, '..', 'fixtures');
const POM = join(import.meta.dirname, 'test', 'pom.xml');
const LIBS = join(CACHES, `spark-test-${shortHash(readFileSync(POM, 'utf8'))}`);
const SOURCES = ['Fields', 'Mapping', 'RowBytes', 'Window', 'Wire'].map(
  (name) => `job/${name}.java`,
);
const TESTS = globSync('test/*.java', { cwd: import.meta.dirname });

const tools = await findTools();
let classes: string;

before(async () => {
  classes = await temporaryFolder('spark-mapping');
});
after(() => removeFolder(classes));

/** Or why they cannot run here. */
async function findTools(): Promise<{ java: string; javac: string } | string> {
  try {
    const { program: java } = await findJava('Spark');
    const javac = await findTool(
      'javac',
      'These tests are compiled with javac, and this Java has none: install a JDK (a package such as openjdk-17-jdk-headless) or let JAVA_HOME name one.',
    );
    if (!existsSync(LIBS)) await findMaven('Spark');
    return { java, javac };
  } catch (error) {
    if (error instanceof ProgramError) return error.message;
    throw error;
  }
}

test('the Spark job makes the rows of the fixture, and knows repeated ids, as its own tests ask', {
  skip: typeof tools === 'string' && tools,
}, async (t) => {
  if (typeof tools === 'string') return;
  const progress = (text: string) => t.diagnostic(text);
  await withLock(LIBS, progress, async () => {
    if (existsSync(LIBS)) return;
    const part = `${LIBS}.part`;
    await fetchJars({ needs: 'Spark', pom: POM, folder: part }, [], progress);
    await rename(part, LIBS);
  });
  const cwd = import.meta.dirname;
  const path = [classes, join(LIBS, '*')].join(delimiter);
  const options = ['--release', '17', '-proc:none', '-encoding', 'UTF-8', '-Werror', '-Xlint'];
  const compile = [...options, '-Xlint:-auxiliaryclass', '-cp', path, '-d', classes];
  const compiled = await run({
    command: [tools.javac, ...compile, ...SOURCES, ...TESTS],
    folder: cwd,
    environment: jvmEnvironment(),
  });
  assert.equal(compiled.code, 0, compiled.output);
  const jvm = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Dfile.encoding=UTF-8', '-cp', path];
  const properties = [`fixtures=${FIXTURES}`, `columns=${COLUMNS.join()}`];
  const set = properties.map((each) => `-Dclickstream.${each}`);
  const launcher = ['org.junit.platform.console.ConsoleLauncher', 'execute', '--scan-classpath'];
  const details = ['--disable-banner', '--disable-ansi-colors', '--details=tree'];
  const tested = await run({
    command: [tools.java, ...jvm, ...set, ...launcher, classes, ...details, '--fail-if-no-tests'],
    folder: cwd,
    environment: jvmEnvironment(),
  });
  assert.equal(tested.code, 0, tested.output);
});
