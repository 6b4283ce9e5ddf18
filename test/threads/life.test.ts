import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import { bundle } from './bundle.ts';
import { held } from './held.ts';
import { kernelsBase64 } from './kernels.ts';

const folder = mkdtempSync(join(tmpdir(), 'relpos-life-'));
const script = join(folder, 'life.mjs');
writeFileSync(script, await bundle('life.ts'));
const kernels = await kernelsBase64();
afterAll(() => rmSync(folder, { recursive: true }));

/** What the process prints; rejects if it does not end by itself, in time and with code 0. */
async function life(mode: string): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [script, mode, kernels], { timeout: 20_000 });
  return stdout.trim();
}

test('a tile takes long, and the process is stopped meanwhile', { timeout: 60_000 }, async () => {
  expect(await held(process.execPath, [script, 'held', kernels], 4, 2)).toBe('begun\nfinished');
});

test('a disposed engine keeps no memory, whatever is kept of it', { timeout: 60_000 }, async () => {
  const release = join(folder, 'release.mjs');
  writeFileSync(release, await bundle('release.ts'));
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', release], { timeout: 50_000 });
  expect(stdout.trim()).toBe('released');
});

test.each([
  ['idle', 'idle'],
  ['pending', 'waited'],
  ['disposed', 'disposed'],
  ['trapped', 'kernel-trap\nrebuilt'],
])('a process with its pool %s ends when it should', { timeout: 30_000 }, async (mode, printed) => {
  expect(await life(mode)).toBe(printed);
});
