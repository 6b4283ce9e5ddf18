/** A command line run in this process, with what it wrote. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import { run } from '../../src/cli/main.ts';

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs `relpos` with these arguments. */
export async function relpos(argv: readonly string[], options: { isTTY?: boolean; signal?: AbortSignal } = {}): Promise<Ran> {
  const { isTTY = false, signal = new AbortController().signal } = options;
  const out: string[] = [];
  const err: string[] = [];
  const code = await run(argv, { stdout: (text) => out.push(text), stderr: (text) => err.push(text), isTTY, signal });
  return { code, stdout: out.join(''), stderr: err.join('') };
}

const folders: string[] = [];

/** A folder of its own, removed after the test. */
export function folder(): { path: (name: string) => string; names: () => string[] } {
  const root = mkdtempSync(join(tmpdir(), 'relpos-cli-'));
  folders.push(root);
  return { path: (name) => join(root, name), names: () => readdirSync(root).sort() };
}

afterEach(() => {
  for (const root of folders.splice(0)) rmSync(root, { recursive: true, force: true });
});
