/** The Deno handler, under `deno serve` and without any permission; and under Bun, which serves the same file. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { madeInput } from './posts.ts';
import { describeWith, makeProject, runtime } from './project.ts';
import { expectAnswer, testService } from './service.ts';

/** The recipe, saying what becomes of each call. */
const WATCHED = `import { createEngine } from 'relpos';
import server from './server.mjs';
const engine = await createEngine({ threads: 1 });
const prototype = Object.getPrototypeOf(engine);
const { attention } = prototype;
prototype.attention = function (...given) {
  const call = attention.apply(this, given);
  call.then(() => console.log('threads', this.capabilities.threads), (error) => console.log('failed', error.name));
  return call;
};
export default server;
`;
const LIBRARY = '../node_modules/relpos/dist';

const folder = join(makeProject(), 'deno');
writeFileSync(join(folder, 'watched.mjs'), WATCHED);
// The library is beside the recipe here, not on npm.
const { version } = JSON.parse(readFileSync(join(folder, '../node_modules/relpos/package.json'), 'utf8')) as { version: string };
const asked = `npm:relpos@^${version.replace(/\.\d+$/, '')}`; // What a range says of a version below 1.0: the minor one.
const map = {
  [asked]: `${LIBRARY}/index.js`,
  [`${asked}/safetensors`]: `${LIBRARY}/safetensors/index.js`,
};
const { imports } = JSON.parse(readFileSync(join(folder, 'deno.json'), 'utf8')) as { imports: Record<string, string> };
const local = Object.entries(imports).map(([name, address]) => [name, map[address] ?? address]);
writeFileSync(join(folder, 'deno.json'), JSON.stringify({ imports: Object.fromEntries(local) }));

/** A host, what serves a file by it, and what runs one that may write. */
const HOSTS: readonly [name: string, program: string, serve: readonly string[], run: readonly string[]][] = [
  [
    'deno',
    runtime('deno/deno'),
    ['serve', '--no-prompt', '--no-lock', '--host', '127.0.0.1', '--port', '0'],
    ['run', '--config', 'deno.json', '--no-prompt', '--no-lock', '--allow-write'],
  ],
  ['bun', runtime('.bin/bun'), ['run'], ['run']],
];

for (const [name, program, words, run] of HOSTS) {
  describeWith(program, name, () => {
    let server: ChildProcess;
    let url: string;
    let printed = '';

    beforeAll(async () => {
      // Bun asks the environment for its port.
      const env = { ...process.env, PORT: '0' };
      server = spawn(program, [...words, 'watched.mjs'], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
      url = await new Promise((resolve, reject) => {
        const hear = (chunk: Buffer): void => {
          printed += chunk;
          const address = /http:\/\/[\w.]+:\d+/.exec(printed);
          if (address) resolve(`${address[0]}/`);
        };
        server.stdout?.on('data', hear);
        server.stderr?.on('data', hear);
        server.on('exit', () => reject(new Error(printed)));
      });
    });
    afterAll(() => server?.kill());

    const stopped = async (calls: number): Promise<void> => {
      const failures = new RegExp(`(.*\nfailed AbortError){${calls}}`, 's');
      await expect.poll(() => printed, { timeout: 20_000, interval: 50 }).toMatch(failures);
    };
    testService(() => url, stopped);

    test('answers the input that make-input.mjs writes', async () => {
      const path = join(folder, 'in.safetensors');
      rmSync(path, { force: true });
      execFileSync(program, [...run, '../make-input.mjs'], { cwd: folder });
      await expectAnswer(url, madeInput(readFileSync(path)));
    });

    test('has threads', () => {
      expect(printed).toContain('threads 2');
    });
  });
}
