/** The list of mutations stays fit for use, and what kills them is told from what does not. `npm run mutants` applies them. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { mutants } from './list.mjs';
import { type Run, verdict } from './verdict.mjs';

const pathOf = (file: string): string => fileURLToPath(new URL(`../../${file}`, import.meta.url));

describe('the list', () => {
  test('has every text that is to be replaced once in its file', () => {
    const places = ({ file, find }: { file: string; find: string }): number => readFileSync(pathOf(file), 'utf8').split(find).length - 1;
    expect(mutants.filter((mutant) => places(mutant) !== 1).map(({ name, file }) => `${file}: ${name}`)).toEqual([]);
  });

  test('changes something, and names suites that there are', () => {
    expect(mutants.filter(({ find, replace }) => find === replace)).toEqual([]);
    expect(mutants.flatMap(({ suites }) => suites).filter((suite) => !existsSync(pathOf(suite)))).toEqual([]);
    expect(mutants.filter(({ suites }) => !suites.length)).toEqual([]);
  });

  test('names each once, and has both kernels and sources', () => {
    expect(new Set(mutants.map(({ name }) => name)).size).toBe(mutants.length);
    expect(mutants.filter(({ file }) => file.startsWith('assembly/')).length).toBeGreaterThanOrEqual(40);
    expect(mutants.filter(({ file }) => file.startsWith('src/')).length).toBeGreaterThanOrEqual(50);
  });
});

describe('a verdict', () => {
  const ended: Run = { ok: false, stopped: false, output: 'printed' };
  const reportOf = (...messages: readonly string[]) => ({
    numTotalTests: 1 + messages.length,
    testResults: [
      {
        status: 'failed',
        message: 'Cannot find module',
        assertionResults: [
          { status: 'passed', fullName: 'first', failureMessages: [] },
          ...messages.map((message, n) => ({ status: 'failed', fullName: `failed ${n}`, failureMessages: [message] })),
        ],
      },
    ],
  });

  test('is killed if a test failed', () => {
    const report = reportOf('Error: Test timed out in 5000ms.', 'AssertionError: expected 1 to be 2');
    expect(verdict({ ...ended, report })).toEqual({ outcome: 'killed', why: 'failed 1' });
  });

  test('is hung if tests ran out of time, or the run did', () => {
    expect(verdict({ ...ended, report: reportOf('Error: Test timed out in 5000ms.') }).outcome).toBe('hung');
    expect(verdict({ ...ended, stopped: true, report: reportOf('AssertionError') }).outcome).toBe('hung');
  });

  test('is broken if something failed that is no test', () => {
    expect(verdict({ ...ended, report: reportOf() })).toEqual({ outcome: 'broken', why: 'no test failed: Cannot find module' });
    expect(verdict(ended)).toEqual({ outcome: 'broken', why: 'no report: printed' });
    expect(verdict({ ...ended, ok: true, report: { numTotalTests: 0, testResults: [] } }).outcome).toBe('broken');
  });

  test('is survived if all passed', () => {
    expect(verdict({ ...ended, ok: true, report: reportOf() })).toEqual({ outcome: 'survived' });
  });
});
