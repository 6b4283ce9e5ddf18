import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import { bundle } from './bundle.ts';
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

test.each([
  ['idle', 'idle'],
  ['pending', 'waited'],
  ['disposed', 'disposed'],
  ['trapped', 'kernel-trap\nrebuilt'],
])('a process with its pool %s ends when it should', { timeout: 30_000 }, async (mode, printed) => {
  expect(await life(mode)).toBe(printed);
});
