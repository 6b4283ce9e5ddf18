// The programs that the panel gives out: each is checked by the compiler and run by Node with the built package, and must give the panel's numbers.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { createEngineSync, type Engine } from 'relpos';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { programOf } from '../../src/panels/schemes/code.ts';
import { mistakes } from '../../src/panels/schemes/mistakes.ts';
import { picturesOf } from '../../src/panels/schemes/pictures.ts';
import { requestOf } from '../../src/panels/schemes/request.ts';
import { DEFAULTS, type Settings, withFirst } from '../../src/panels/schemes/settings.ts';
import { choose, descriptions } from '../../src/schemes/describe.ts';

const library = fileURLToPath(new URL('../../../', import.meta.url));
const small: Settings = { ...DEFAULTS, asked: { H: 4, D: 32, L: 30, S: 40 }, head: 2, query: 21 };

const cases: readonly (readonly [string, Settings])[] = [
  ...descriptions.map(({ name }): [string, Settings] => [name, withFirst(small, choose(name))]),
  ...mistakes.map((one): [string, Settings] => [`mistake ${one.name}`, { ...one.start(small), mistake: one.name }]),
  ['two', { ...small, second: choose('t5'), causal: true, left: 12, softcap: 20 }],
  ['llama 3', withFirst(small, choose('rotary', { scaling: 'llama3', part: 0.5 }))],
  ['longrope', withFirst(small, choose('rotary', { scaling: 'longrope', trained: 16 }))],
];

let folder: string;
let printed: readonly { name: string; query: number; probabilities: number[]; scores: (number | null)[] }[][];
const engine: Engine = createEngineSync();
const fileOf = (n: number, ending: string): string => join(folder, `program${n}.${ending}`);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lab-programs-'));
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(library, join(folder, 'node_modules', 'relpos'), 'dir');
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  cases.forEach(([, settings], n) => {
    writeFileSync(fileOf(n, 'ts'), programOf(requestOf(settings), settings.query, 'http://localhost/'));
  });
  const compilerOptions = {
    target: 'ES2022',
    module: 'NodeNext',
    lib: ['ES2023', 'ESNext.Disposable', 'DOM'],
    types: [],
    strict: true,
    skipLibCheck: true,
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
  const compiled = spawnSync(join(library, 'node_modules/.bin/tsc'), ['-p', folder], { encoding: 'utf8' });
  expect(compiled.stdout).toBe('');
  // One process runs them all; a line of its own stands between the lines of two.
  const all = cases.map((_, n) => `await import('./program${n}.js');\nconsole.log('null');`).join('\n');
  writeFileSync(join(folder, 'all.js'), all);
  const lines = execFileSync(process.execPath, ['all.js'], { cwd: folder, encoding: 'utf8', maxBuffer: 2 ** 26 });
  printed = lines
    .split(/^null$/m)
    .slice(0, -1)
    .map((part) =>
      part
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    );
}, 120_000);

afterAll(() => {
  engine.dispose();
  rmSync(folder, { recursive: true, force: true });
});

test.each(cases.map(([name], n) => [name, n] as const))('%s: the program gives what the panel shows', (_, n) => {
  const [, settings] = cases[n] as [string, Settings];
  const request = requestOf(settings);
  const pictures = picturesOf(engine, request);
  const results = printed[n] ?? [];
  expect(results.map(({ name }) => name)).toEqual(request.sides.map(({ title }) => title));
  const { S } = request.sizes;
  results.forEach(({ query, probabilities, scores }, side) => {
    const shown = pictures[side] as (typeof pictures)[0];
    const row = (values: Float32Array): number[] => [...values.subarray(query * S, (query + 1) * S)];
    expect(probabilities).toEqual(row(shown.probabilities));
    row(shown.scores).forEach((score, j) => {
      const own = scores[j];
      if (own === null || own === undefined) expect(shown.probabilities[query * S + j]).toBe(0);
      else expect(Math.abs(own - score)).toBeLessThan(1e-4);
    });
  });
});
