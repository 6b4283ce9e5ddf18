// The kernels that measure what the machine can do (assembly/peak.ts): build/peak.wasm and build/peak-fused.wasm, and the same as text in
// src/bench/generated, with the package's version, which a page cannot read from a file.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import asc from 'assemblyscript/asc';

const VARIANTS = { peak: ['simd'], 'peak-fused': ['simd', 'relaxed-simd'] };

/** Compiles both; returns the names of the files in build/. */
export async function buildPeak(banner) {
  mkdirSync('src/bench/generated', { recursive: true });
  const lines = [];
  for (const [name, features] of Object.entries(VARIANTS)) {
    const enable = features.flatMap((feature) => ['--enable', feature]);
    // A base folder without asconfig.json, whose entries would be compiled too.
    const options = ['--baseDir', 'build/kernels', '--outFile', `../${name}.wasm`, '--runtime', 'stub', '-O3', '--noAssert', ...enable];
    const { error } = await asc.main(['peak.ts', ...options]);
    if (error) throw error;
    const constant = name === 'peak' ? 'plainBytes' : 'fusedBytes';
    lines.push(`export const ${constant}: string =\n  '${readFileSync(`build/${name}.wasm`).toString('base64')}';\n`);
  }
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
  writeFileSync('src/bench/generated/peak.ts', banner + lines.join(''));
  writeFileSync('src/bench/generated/version.ts', `${banner}export const packageVersion: string = '${version}';\n`);
  return Object.keys(VARIANTS).map((name) => `${name}.wasm`);
}
