// Bytes: the package as it is published, the kernels, and what a bundler makes of a few imports.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { bundleSize } from '../scripts/bundle-size.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

const budgets = JSON.parse(readFileSync(`${root}test/package/budgets.json`, 'utf8'));

/** `{ name, bytes, gzip, brotli? }` of each; the imports are those that have a budget. */
export async function sizes() {
  const packed = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: root, encoding: 'utf8', stdio: 'pipe' });
  const [{ size, unpackedSize, files }] = JSON.parse(packed);
  const results = [{ name: `package, ${files.length} files`, bytes: unpackedSize, gzip: size }];
  for (const target of ['baseline', 'relaxed', 'int16']) {
    const bytes = readFileSync(`${root}dist/wasm/${target}.wasm`);
    const [gzip, brotli] = [gzipSync(bytes, { level: 9 }).length, brotliCompressSync(bytes).length];
    results.push({ name: `${target}.wasm`, bytes: bytes.length, gzip, brotli });
  }
  for (const [name, { code }] of Object.entries(budgets)) {
    // The package by its own name, as those do who install it.
    results.push({ name: `bundle of ${name}`, ...(await bundleSize(root, code)) });
  }
  for (const { name, bytes, gzip, brotli = '' } of results) {
    console.log(`  ${name.padEnd(44)}${String(bytes).padStart(9)} bytes, ${gzip} gzip, ${brotli} brotli`);
  }
  return results;
}
