import { defineConfig, type ViteUserConfig } from 'vitest/config';
import page from './vite.config.ts';

/** The page's unit tests: `relpos` is the library's build of this clone, as in the page itself. */
const config: ViteUserConfig = defineConfig({
  resolve: page.resolve ?? {},
  test: { include: ['test/unit/**/*.test.{ts,tsx}'], fileParallelism: false, testTimeout: 60_000, hookTimeout: 60_000 },
});

export default config;
