/** The suite and the life cycle in every other runtime that is installed beside the library. */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import { bundle } from './bundle.ts';
import { chainBase64, kernelsBase64 } from './kernels.ts';

const JOBS = 500;
const kernels = await kernelsBase64();
const folder = mkdtempSync(join(tmpdir(), 'relpos-runtimes-'));
const write = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
const life = write('life.mjs', await bundle('life.ts'));
// Bun cannot end a worker that hangs, nor itself while there is one: hence the exit.
const main = `console.log((await relposThreads.run('${kernels}', '${await chainBase64()}', ${JOBS})).join('\\n'));\nprocess.exit(0);\n`;
const suite = write('suite.mjs', `${await bundle('run.ts')}\n${main}`);
const lost = write('lost.mjs', await bundle('lost.ts'));
afterAll(() => rmSync(folder, { recursive: true }));

const bin = (name: string): string =>
  fileURLToPath(new URL(`../runtimes/node_modules/${name === 'node' ? 'node24/bin/node' : `.bin/${name}`}`, import.meta.url));

describe.each([
  ['node', []],
  ['deno', ['run', '--no-config']],
  ['bun', []],
] as const)('%s', (name, flags) => {
  const run = async (...words: string[]): Promise<string> => {
    const { stdout } = await promisify(execFile)(bin(name), [...flags, ...words], { timeout: 90_000 });
    return stdout.trim();
  };
  const there = test.skipIf(!existsSync(bin(name)));

  there('the suite', { timeout: 100_000 }, async () => {
    const lines = (await run(suite)).split('\n');
    console.log(lines.join('\n'));
    expect(lines[0]).toMatch(new RegExp(`^${name} .*shares memory$`));
    expect(lines.filter((line) => line.startsWith('FAILED'))).toEqual([]);
  });

  // What Deno ends in the middle of a tile may have left by itself before; what ended itself there is in doubt for ever.
  there.each([
    ['terminate', name === 'deno' ? /^(replaced, 2 threads|in quarantine, 1 thread)$/ : /^replaced, 2 threads$/],
    ['exit', name === 'deno' ? /^in quarantine, 1 thread$/ : /^replaced, 2 threads$/],
  ])('memory of a call whose worker was lost: %s', { timeout: 100_000 }, async (mode, printed) => {
    expect(await run(lost, mode)).toMatch(printed);
  });

  there.each([
    ['idle', 'idle'],
    ['pending', 'waited'],
    ['disposed', 'disposed'],
    ['trapped', 'kernel-trap\nrebuilt'],
  ])('ends when it should with its pool %s', { timeout: 100_000 }, async (mode, printed) => {
    expect(await run(life, mode, kernels)).toBe(printed);
  });
});
