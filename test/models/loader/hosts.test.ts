/** The same text and the same bits in every runtime that is installed, from folders and from servers, on any number of threads. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';

const script = fileURLToPath(new URL('hosts.mjs', import.meta.url));
const bin = (name: string): string => fileURLToPath(new URL(`../../runtimes/node_modules/${name}`, import.meta.url));

async function run(program: string, ...flags: string[]): Promise<Record<string, [number, string]>> {
  const { stdout } = await promisify(execFile)(program, [...flags, script], { timeout: 100_000 });
  return JSON.parse(stdout);
}

let here: Record<string, [number, string]>;
beforeAll(async () => {
  here = await run(process.execPath);
});

test('threads and the place that the files come from change no bit', () => {
  expect(here['f32 on 2']).toEqual(here['f32 on 1']);
  expect(here['i8 on 3']).toEqual(here['i8 on 1']);
  expect(here['f32 on 1']?.[1].length).toBeGreaterThan(80);
  expect(new Set([here['f32 on 1'], here['i8 on 1'], here['i4 on 2']].map((each) => each?.[0])).size).toBe(3);
  expect(here.fixed).toBe('and he said, Who art thou?');
});

describe.each([
  ['Node 24', 'node24/bin/node', []],
  ['Deno', '.bin/deno', ['run', '-A', '--no-config', '--node-modules-dir=manual']],
  ['Bun', '.bin/bun', []],
] as const)('%s', (_, name, flags) => {
  test.skipIf(!existsSync(bin(name)))('has the same', async () => {
    expect(await run(bin(name), ...flags)).toEqual(here);
  });
});
