/** The printed pages are fresh, and every link of the documentation leads somewhere. */
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { PAGES } from '../docs/print.ts';

const ROOT = join(import.meta.dirname, '..');

for (const [name, print] of Object.entries(PAGES)) {
  test(`docs/${name} says what the code says (else: npx node docs/print.ts)`, () => {
    assert.equal(readFileSync(join(ROOT, 'docs', name), 'utf8'), print());
  });
}

test('every link of the documentation leads to a file that is there', () => {
  const broken: string[] = [];
  for (const page of globSync(['*.md', 'docs/**/*.md'], { cwd: ROOT })) {
    const text = readFileSync(join(ROOT, page), 'utf8');
    for (const [, target = ''] of text.matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g)) {
      if (!existsSync(join(ROOT, dirname(page), target))) broken.push(`${page} → ${target}`);
    }
  }
  assert.deepEqual(broken, []);
});
