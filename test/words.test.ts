/** The scripts that tests and benchmarks are run by say what they take; nothing is run for `--help` or a wrong name. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));

function run(words: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, words, { cwd: root, encoding: 'utf8', timeout: 60_000 });
  return { status, stdout, stderr };
}

describe.each([
  { script: 'test/run.mjs', usage: 'npm test [-- [quick] [step ...]]', kind: 'steps', some: ['lint', 'bundlers', 'conformance'] },
  { script: 'test/conformance/main.mjs', usage: 'npm run conformance', kind: 'hosts', some: ['node24', 'workerd', 'firefox'] },
  { script: 'test/bundlers/main.mjs', usage: 'npm run bundlers', kind: 'tools', some: ['vite', 'next', 'types'] },
  { script: 'bench/runtimes/main.mjs', usage: 'npm run bench:runtimes', kind: 'runtimes', some: ['bun', 'firefox', 'workerd'] },
])('$script', ({ script, usage, kind, some }) => {
  it.each(['--help', '-h'])('%s prints the usage', (word) => {
    const { status, stdout, stderr } = run([script, word]);
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout.startsWith(usage), stdout).toBe(true);
    for (const name of some) expect(stdout).toContain(name);
  });

  it('refuses a name that there is not, with those that there are', () => {
    const { status, stdout, stderr } = run([script, some[0] as string, 'nothing']);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr.startsWith(`unknown ${kind}: nothing; there are `), stderr).toBe(true);
    for (const name of some) expect(stderr).toContain(name);
    expect(stderr).not.toMatch(/^ +at /m);
  });

  it('refuses an option that there is not', () => {
    const { status, stdout, stderr } = run([script, '--nothing']);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toContain("Unknown option '--nothing'");
    expect(stderr).toContain(usage);
    expect(stderr).not.toMatch(/^ +at /m);
  });
});

it('test/run.mjs quick refuses a step that quick has not', () => {
  const { status, stderr } = run(['test/run.mjs', 'quick', 'bundlers']);
  expect(status).toBe(2);
  expect(stderr).toContain('unknown steps: bundlers; there are quick, lint, types, vitest, conformance');
});
