/** Facts about the sources and the kernels that no behaviour shows. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { checkKernels, sharedFlagOffset } from '../../scripts/kernel-facts.mjs';

const root = new URL('../../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8');

/** Paths of the TypeScript files under a folder, generated ones left out. */
const sources = (folder: string): string[] =>
  readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.includes('generated'))
    .map((name) => `${folder}${name}`);

/** Code without comments and strings. */
const code = (path: string): string =>
  read(path)
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/(^|[^:])\/\/.*$/gm, '$1')
    .replace(/'(?:[^'\\\n]|\\.)*'/g, "''");

/** The functions of Math that are exact; the bits of the others differ between engines. Constants (PI, SQRT2) are exact too. */
const EXACT = ['abs', 'ceil', 'floor', 'round', 'trunc', 'sign', 'min', 'max', 'sqrt', 'fround', 'imul', 'clz32'];
/** Uses that reach no tensor: a comparison with a tolerance, the unit of a number of bytes, a mean of ratios. */
const HARMLESS: Readonly<Record<string, readonly string[]>> = {
  'src/cli/report.ts': ['Math.log2'],
  'src/cli/bench-compare.ts': ['Math.log', 'Math.exp'],
  'src/bench/formulas.ts': ['Math.log2', 'Math.log'],
  'src/bench/reference.ts': ['Math.cos', 'Math.sin', 'Math.log', 'Math.exp'],
  'src/attention/selftest.ts': ['Math.exp'],
};

describe('sources', () => {
  test.each(sources('src/'))('%s uses no function of Math that engines disagree on', (path) => {
    const used = [...code(path).matchAll(/\bMath\.(\w+)/g)].map(([use, name]) => ({ use, name: name as string }));
    const odd = used.filter(({ name }) => !EXACT.includes(name) && name !== name.toUpperCase()).map(({ use }) => use);
    expect([...new Set(odd)]).toEqual(HARMLESS[path] ?? []);
  });

  test.each(sources('src/').filter((path) => path.includes('/encodings/')))('%s uses no ** on numbers that are not whole', (path) => {
    // `**` is Math.pow. Powers of literal whole numbers are exact in every engine.
    const powers = [...code(path).matchAll(/([\w.)\]]+)\s*\*\*\s*([-\w.([]+)/g)].filter(
      ([, base, exponent]) => !(base === '2' && /^\d+$/.test(exponent as string)),
    );
    expect(powers.map(([use]) => use)).toEqual([]);
  });

  test('globals of a runtime appear under src/platform/, src/cli/, in workers and in the page of a report only', () => {
    const elsewhere = sources('src/').filter((path) => !/^src\/(platform|cli|threads|report)\//.test(path));
    const users = elsewhere.filter((path) => /(?<![.\w])(process|Deno|Bun|navigator|document|self|require)\.\w/.test(code(path)));
    expect(users).toEqual([]);
  });
});

describe('kernels', () => {
  const bytes = {
    baseline: readFileSync(new URL('build/baseline.wasm', root)),
    int16: readFileSync(new URL('build/int16.wasm', root)),
    relaxed: readFileSync(new URL('build/relaxed.wasm', root)),
  };
  const index = read('assembly/index.ts');

  test.each(['baseline', 'int16', 'relaxed'] as const)('%s: imports, exports, no data, no state, under 64 KB', (target) => {
    expect(checkKernels(target, bytes[target], index).summary).toMatch(/^\d+ bytes, \d+ kernels$/);
    expect(bytes[target].length).toBeLessThan(64 * 1024);
  });

  test('the check notices a second import, a data section and another flag', () => {
    const spoilt = Uint8Array.from(bytes.baseline);
    spoilt[sharedFlagOffset(bytes.baseline)] = 3;
    expect(() => checkKernels('baseline', spoilt, index)).toThrow('flag is 3');
    expect(() => checkKernels('baseline', bytes.baseline, `${index}\nexport { other } from './other';`)).toThrow('other');
    // An active data segment of one byte at 0, appended as the last section.
    const data = Uint8Array.from([...bytes.baseline, 11, 7, 1, 0, 0x41, 0, 11, 1, 42]);
    expect(() => checkKernels('baseline', data, index)).toThrow('data section');
  });
});

describe('importing the built package', () => {
  /** What a process says after importing it. */
  function probe(body: string): string {
    const program = `
      const made = [];
      const watch = (name, target) => { const Old = target[name]; target[name] = new Proxy(Old, { construct(T, args) { made.push(name); return Reflect.construct(T, args); } }); };
      for (const name of ['Memory', 'Module', 'Instance']) watch(name, WebAssembly);
      for (const name of ['compile', 'instantiate', 'validate']) { const old = WebAssembly[name]; WebAssembly[name] = (...given) => { made.push(name); return old(...given); }; }
      const threads = process.getBuiltinModule('node:worker_threads');
      watch('Worker', threads);
      const globals = new Set(Object.getOwnPropertyNames(globalThis));
      const relpos = await import(${JSON.stringify(new URL('dist/index.js', root).href)});
      const added = Object.getOwnPropertyNames(globalThis).filter((name) => !globals.has(name));
      ${body}`;
    return execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8', timeout: 20_000 }).trim();
  }

  test('makes no memory, module or worker, keeps nothing open and adds no global', () => {
    const said = probe(
      'console.log(JSON.stringify({ made, added, open: process.getActiveResourcesInfo().filter((name) => !/TTY|Pipe|FS|CloseReq/.test(name)) }));',
    );
    expect(JSON.parse(said)).toEqual({ made: [], added: [], open: [] });
  });

  test('and this would have been noticed', () => {
    expect(JSON.parse(probe('relpos.createEngineSync(); console.log(JSON.stringify(made));'))).toContain('Memory');
  });

  test('works through require, where the host can require modules', () => {
    const path = fileURLToPath(new URL('dist/index.js', root));
    const program = `console.log(typeof require(${JSON.stringify(path)}).createEngine)`;
    const [major, minor] = process.versions.node.split('.').map(Number) as [number, number];
    expect(major > 20 || minor >= 19).toBe(true);
    expect(execFileSync(process.execPath, ['--no-warnings', '-e', program], { encoding: 'utf8' }).trim()).toBe('function');
  });
});
