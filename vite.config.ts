/** Bundles the dashboard into dist/dashboard: every file of its own, nothing from elsewhere. */
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

export default defineConfig({
  root: 'src/dashboard',
  plugins: [react()],
  build: {
    outDir: '../../dist/dashboard',
    emptyOutDir: true,
    target: 'es2024',
    modulePreload: { polyfill: false },
  },
});
