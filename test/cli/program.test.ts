import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, copyFileSync, mkdirSync, mkdtempSync, openSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { writeSafetensors } from '../../src/safetensors/index.ts';
import { f32, noise } from './naive.ts';

/** The program as npm installs it: package.json, dist/cli/main.js and a link to it. */
const root = mkdtempSync(join(tmpdir(), 'relpos-program-'));
const program = join(root, 'bin', 'relpos');

beforeAll(async () => {
  for (const folder of ['bin', 'dist/cli', 'work']) mkdirSync(join(root, folder), { recursive: true });
  const source = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
  copyFileSync(source('package.json'), join(root, 'package.json'));
  const outfile = join(root, 'dist/cli/main.js');
  await build({ entryPoints: [source('src/cli/main.ts')], outfile, bundle: true, platform: 'node', format: 'esm', target: 'node20' });
  symlinkSync(outfile, program);
  const shape = [1, 8, 3072, 64];
  const tensor = f32(shape, noise(8 * 3072 * 64, 1));
  writeFileSync(join(root, 'work/large'), writeSafetensors({ q: tensor, k: tensor, v: tensor }));
  const small = f32([1, 1, 2, 4], noise(8, 1));
  writeFileSync(join(root, 'work/small'), writeSafetensors({ q: small, k: small, v: small }));
});

afterEach(() => rmSync(join(root, 'work/out'), { force: true }));
afterAll(() => rmSync(root, { recursive: true, force: true }));

interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** Starts the program in the work folder; `during` may act on the process. */
function start(argv: string[], during: (child: ChildProcess) => void = () => {}, stdout: 'pipe' | number = 'pipe'): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...argv], { cwd: join(root, 'work'), stdio: ['ignore', stdout, 'pipe'] });
    const out: string[] = [];
    const err: string[] = [];
    child.stdout?.on('data', (data) => out.push(String(data)));
    child.stderr?.on('data', (data) => err.push(String(data)));
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stdout: out.join(''), stderr: err.join('') }));
    during(child);
  });
}

/** What is in the work folder, where every test starts with the two inputs alone. */
const names = (): string[] => readdirSync(join(root, 'work')).sort();

describe('the program', () => {
  it('runs through a link, ends by itself and gives the exit code', async () => {
    const done = await start(['attend', 'small', '-o', 'out', '--threads', '2']);
    expect(done).toMatchObject({ code: 0, signal: null, stderr: '' });
    expect(done.stdout).toMatch(/^written +out$/m);
    expect(names()).toEqual(['large', 'out', 'small']);
    expect(await start(['attend', 'none'])).toEqual({
      code: 2,
      signal: null,
      stdout: '',
      stderr: 'relpos: cannot read none: no such file\n',
    });
    expect((await start([])).code).toBe(2);
    expect((await start(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s stops it with exit code %i and no file', async (signal, code) => {
    const ended = await start(['attend', 'large', '-o', 'out', '--repeat', '200'], (child) => {
      setTimeout(() => child.kill(signal), 1500);
    });
    expect(ended).toEqual({ code, signal: null, stdout: '', stderr: 'relpos: interrupted\n' });
    expect(names()).toEqual(['large', 'small']);
  });

  it.each([
    ['--json', ['attend', 'small', '--json']],
    ['text', ['encodings']],
  ])('says in one line that its output does not fit: %s', async (_, argv) => {
    const full = openSync('/dev/full', 'w');
    try {
      expect(await start(argv, () => {}, full)).toEqual({
        code: 1,
        signal: null,
        stdout: '',
        stderr: 'relpos: cannot write the output: no space left\n',
      });
    } finally {
      closeSync(full);
    }
  });

  it('does not mind a reader that closes early', async () => {
    const ended = await start(['encodings', '--json'], (child) => void child.stdout?.destroy());
    expect(ended).toMatchObject({ code: 0, signal: null, stderr: '' });
  });
});
