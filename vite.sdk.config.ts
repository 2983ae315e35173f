/** Bundles the browser SDK into dist/sdk.js: one plain script without dependencies. */
import { defineConfig } from 'vite';

export default defineConfig({
  publicDir: false,
  build: {
    outDir: 'dist',
    emptyOutDir: false,
    target: 'es2022',
    lib: {
      entry: 'src/sdk/script.ts',
      formats: ['iife'],
      name: 'clickstreamScript',
      fileName: () => 'sdk.js',
    },
  },
});
