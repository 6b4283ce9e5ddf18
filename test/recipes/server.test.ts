/** The Deno handler, under `deno serve` and without any permission; and under Bun, which serves the same file. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith, makeProject, runtime } from './project.ts';
import { testService } from './service.ts';

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
const map = readFileSync(join(folder, 'deno.json'), 'utf8');
const local = map.replace('npm:relpos/safetensors', `${LIBRARY}/safetensors/index.js`).replace('npm:relpos', `${LIBRARY}/index.js`);
writeFileSync(join(folder, 'deno.json'), local);

const HOSTS: readonly [name: string, program: string, words: readonly string[]][] = [
  ['deno', runtime('deno/deno'), ['serve', '--no-prompt', '--no-lock', '--host', '127.0.0.1', '--port', '0']],
  ['bun', runtime('.bin/bun'), ['run']],
];

for (const [name, program, words] of HOSTS) {
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

    test('has threads', () => {
      expect(printed).toContain('threads 2');
    });
  });
}
