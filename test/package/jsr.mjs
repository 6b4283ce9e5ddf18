// What JSR would get: the sources, the generated ones too, of the same version and with the same entries as on npm.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const deno = fileURLToPath(new URL('../runtimes/node_modules/deno/deno', import.meta.url));

/** Runs Deno at the root; returns all it prints. */
function run(...words) {
  const { status, stdout, stderr } = spawnSync(deno, words, { cwd: root, encoding: 'utf8', env: { ...process.env, NO_COLOR: '1' } });
  if (status !== 0) throw new Error(`deno ${words[0]} ended with ${status}\n${stdout}${stderr}`);
  return stdout + stderr;
}

/** Entries that JSR has not: they are no modules. */
const NPM_ALONE = ['./wasm/*', './package.json'];

function checkManifest() {
  const [jsr, npm] = ['jsr.json', 'package.json'].map((name) => JSON.parse(readFileSync(`${root}${name}`, 'utf8')));
  const entries = Object.keys(npm.exports).filter((name) => !NPM_ALONE.includes(name));
  const [ours, theirs] = [jsr, npm].map(({ version, license }) => `${version} ${license}`);
  if (ours !== theirs) throw new Error(`jsr.json says ${ours}, package.json ${theirs}`);
  for (const [name, from] of Object.entries(jsr.imports ?? {})) {
    const here = `npm:${name}@${npm.dependencies[name] ?? npm.devDependencies[name]}`;
    if (from !== here) throw new Error(`jsr.json has ${from}, package.json ${here}`);
  }
  if (`${Object.keys(jsr.exports)}` !== `${entries}`) throw new Error(`jsr.json has ${Object.keys(jsr.exports)}, package.json ${entries}`);
}

/** Sources that git ignores, and that the package is nothing without. */
const GENERATED = ['src/wasm/generated/baseline.ts', 'src/wasm/generated/worker-source.ts', 'src/encodings/generated/schemes.ts'];

/** `deno publish` up to where it would send: types, slow types, exports, and the list of what it would send. */
function checkPublish() {
  const listed = run('publish', '--dry-run', '--allow-dirty');
  const missing = GENERATED.filter((name) => !listed.includes(`/${name} (`));
  if (missing.length) throw new Error(`not among what is sent: ${missing.join(', ')}\n${listed}`);
}

const TRY = `
const { createEngine } = await import('./src/index.ts');
const engine = await createEngine({ threads: 2 });
console.log(engine.capabilities.threads, (await engine.selfTest()).passed);
engine.dispose();`;

/** The sources as JSR hands them out, compiled by nobody. */
function checkSources() {
  const found = run('eval', TRY).trim();
  if (found !== '2 true') throw new Error(`expected 2 threads and a self-test that passes, got ${found}`);
}

const CHECKS = [
  ['jsr.json agrees with package.json', checkManifest],
  ['deno publish --dry-run', checkPublish],
  ['the sources run in Deno as they are', checkSources],
];

/** Each as a check of test/run.mjs. */
export function jsrChecks() {
  if (!existsSync(deno) && process.env.CI !== 'true') {
    console.log(`package: ${deno} is not there; what JSR would get is not checked`);
    return [];
  }
  return CHECKS.map(([name, check]) => {
    try {
      check();
      return { name };
    } catch (error) {
      return { name, error: error.message };
    }
  });
}
