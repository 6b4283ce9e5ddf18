// Bytes: the package as it is published, the kernels, and what a bundler makes of a few imports.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Imports, minified by esbuild for a browser; the kernels are inside. */
const IMPORTS = {
  'createEngine, rotary': "export { createEngine, rotary } from './dist/index.js'",
  'rotary alone': "export { rotary } from './dist/index.js'",
  everything: "export * from './dist/index.js'",
};

async function bundled(contents) {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: root },
    bundle: true,
    write: false,
    minify: true,
    format: 'esm',
    platform: 'browser',
    logLevel: 'error',
  });
  return outputFiles[0].contents;
}

/** `{ name, bytes, gzip? }` of each. */
export async function sizes() {
  const packed = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: root, encoding: 'utf8', stdio: 'pipe' });
  const [{ size, unpackedSize, files }] = JSON.parse(packed);
  const results = [{ name: `package, ${files.length} files`, bytes: unpackedSize, gzip: size }];
  for (const target of ['baseline', 'relaxed']) {
    const bytes = readFileSync(`${root}dist/wasm/${target}.wasm`);
    results.push({ name: `${target}.wasm`, bytes: bytes.length, gzip: gzipSync(bytes, { level: 9 }).length });
  }
  for (const [name, contents] of Object.entries(IMPORTS)) {
    const bytes = await bundled(contents);
    results.push({ name: `bundle of ${name}`, bytes: bytes.length, gzip: gzipSync(bytes, { level: 9 }).length });
  }
  for (const { name, bytes, gzip } of results) console.log(`  ${name.padEnd(42)}${String(bytes).padStart(9)} bytes, ${gzip} gzip`);
  return results;
}
