// A tile of two minutes in whose middle the process is stopped for 40 seconds: `node test/threads/long.mjs [seconds [seconds stopped]]`, on
// this Node and on the other runtimes that are installed, all at once. The suite does the same for seconds (life.test.ts).
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const folder = mkdtempSync(join(tmpdir(), 'relpos-long-'));
const here = (name) => fileURLToPath(new URL(name, import.meta.url));
async function load(name) {
  const file = join(folder, `${name}.mjs`);
  const options = { bundle: true, packages: 'external', platform: 'node', format: 'esm', target: 'es2022' };
  await build({ entryPoints: [here(`${name}.ts`)], outfile: file, ...options });
  return file;
}

const [seconds = 120, stopped = 40] = process.argv.slice(2).map(Number);
const life = await load('life');
// The compiler of the test kernels is found from this project only.
const source = await build({ entryPoints: [here('kernels.ts')], bundle: true, write: false, packages: 'external', format: 'esm' });
const compiler = here('../../build/test-kernels.mjs');
writeFileSync(compiler, source.outputFiles[0].text);
const { kernelsBase64 } = await import(compiler);
const kernels = await kernelsBase64();
rmSync(compiler);
const { held } = await import(await load('held'));
const bin = (name) => here(`../runtimes/node_modules/.bin/${name}`);
const hosts = [
  [process.execPath, []],
  [here('../runtimes/node_modules/node24/bin/node'), []],
  [bin('deno'), ['run', '--no-config']],
  [bin('bun'), []],
].filter(([command]) => existsSync(command));
const began = performance.now();
const results = await Promise.allSettled(hosts.map(([command, flags]) => held(command, [...flags, life, 'held', kernels], seconds, stopped)));
results.forEach(({ status, value, reason }, n) => {
  const good = status === 'fulfilled' && value.endsWith('finished');
  console.log(`${good ? 'finished' : 'FAILED'} ${hosts[n][0]} ${good ? '' : (reason ?? value)}`);
  if (!good) process.exitCode = 1;
});
console.log(`${((performance.now() - began) / 1000).toFixed(0)} s`);
rmSync(folder, { recursive: true });
