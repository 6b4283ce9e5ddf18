import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig, type UserConfig } from 'vite';
import { licences } from './licences.ts';

const library = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));
const { exports } = JSON.parse(readFileSync(library('package.json'), 'utf8')) as { exports: Record<string, string | { default: string }> };

/** The library's entries, as the build of this clone made them: `relpos/models` is ../dist/models/index.js. */
const alias = Object.entries(exports).flatMap(([entry, target]) =>
  typeof target === 'string' || entry.includes('*')
    ? []
    : [{ find: new RegExp(`^${entry.replace('.', 'relpos')}$`), replacement: library(target.default) }],
);

const isolation = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };

const { page, workers } = licences();

const config: UserConfig = defineConfig({
  base: './', // The folder can stand under any path of any host.
  resolve: { alias },
  plugins: [page],
  worker: { format: 'es', plugins: workers },
  build: { target: 'es2022', assetsInlineLimit: 0, chunkSizeWarningLimit: 1000 },
  server: { headers: isolation, fs: { allow: ['..'] } },
  preview: { headers: isolation },
});

export default config;
