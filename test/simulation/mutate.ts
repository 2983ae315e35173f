/**
 * Loads the source with a mutation in it: `node --import "./test/simulation/mutate.ts?NAME" …`,
 * the name as in mutations.ts and in the form of an address.
 */
import { registerHooks } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { mutate } from './mutations.ts';

const root = pathToFileURL(join(import.meta.dirname, '../..')).href;
const mutation = decodeURIComponent(new URL(import.meta.url).search.slice(1));

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    if (!url.startsWith(`${root}/`) || url.includes('/node_modules/')) return loaded;
    const { source } = loaded;
    const text = typeof source === 'string' ? source : new TextDecoder().decode(source);
    return { ...loaded, source: mutate(mutation, url.slice(root.length + 1), text) };
  },
});
