/**
 * Headless Chromium for the tests of pages: the binary comes inside an npm package, so a machine
 * with nothing installed can run them.
 */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import chromium, { inflate } from '@sparticuz/chromium';
import { type Browser, chromium as playwright } from 'playwright-core';

const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Libraries that the binary needs and small systems lack; the package brings them, packed. */
const LIBRARIES = fileURLToPath(
  new URL('../bin/al2023.tar.br', import.meta.resolve('@sparticuz/chromium')),
);

export async function launchBrowser(): Promise<Browser> {
  const executablePath = await chromium.executablePath();
  const launch = (env: NodeJS.ProcessEnv): Promise<Browser> =>
    playwright.launch({ executablePath, args: ARGUMENTS, headless: true, env });
  try {
    return await launch(process.env);
  } catch (error) {
    if (!/loading shared libraries/.test(String(error))) throw error;
    await inflate(LIBRARIES);
    return launch({ ...process.env, LD_LIBRARY_PATH: join(tmpdir(), 'al2023', 'lib') });
  }
}
