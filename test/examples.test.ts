/**
 * Every ```ts block of README.md and docs/, and every @example of src/, runs as it stands against the built package. Public names that a
 * block does not import itself are imported for it; everything else it must bring along. A block that is not meant to run is not ```ts.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { transformSync } from 'esbuild';
import { afterAll, describe, expect, test } from 'vitest';
import * as relpos from '../src/index.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const list = (folder: string, end: string): string[] =>
  existsSync(join(root, folder))
    ? readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).flatMap((name) =>
        name.endsWith(end) ? [`${folder}/${name}`] : [],
      )
    : [];

interface Example {
  /** File and line. */
  readonly place: string;
  readonly code: string;
}

/** The ```ts blocks of a text, without the margin that comments have. */
function blocks(path: string, text: string): Example[] {
  return [...text.matchAll(/^([ *]*)```ts\n([\s\S]*?)^[ *]*```$/gm)].map(({ index, 1: margin = '', 2: body = '' }) => ({
    place: `${path}:${text.slice(0, index).split('\n').length}`,
    code: body
      .split('\n')
      .map((line) => (line.startsWith(margin) ? line.slice(margin.length) : line.replace(/^ *\*/, '')))
      .join('\n'),
  }));
}

const documents = ['README.md', ...list('docs', '.md')].filter((path) => existsSync(join(root, path)));
const inDocuments = documents.flatMap((path) => blocks(path, read(path)));
const inSources = list('src', '.ts').flatMap((path) => blocks(path, read(path)));

// A project with the package under its name.
const project = mkdtempSync(join(tmpdir(), 'relpos-examples-'));
mkdirSync(join(project, 'node_modules'));
symlinkSync(root, join(project, 'node_modules/relpos'));
// The models that examples load: the trained ones, and tiny ones in the place of those that the reader has.
symlinkSync(join(root, 'examples'), join(project, 'examples'));
mkdirSync(join(project, 'models'));
symlinkSync(join(root, 'test/models/checkpoints/bert'), join(project, 'models/minilm'));
symlinkSync(join(root, 'test/models/checkpoints/swin'), join(project, 'models/swin'));
afterAll(() => rmSync(project, { recursive: true }));

/** The public names that the code uses without importing or declaring them. */
function missing(code: string): string[] {
  const own = [...code.matchAll(/import\s*(?:type\s*)?\{([^}]*)\}/g)].flatMap(([, names = '']) => names.split(/[\s,]+/));
  const used = Object.keys(relpos).filter((name) => new RegExp(`(?<![.\\w])${name}\\b`).test(code));
  return used.filter((name) => !own.includes(name) && !new RegExp(`(const|let|function)\\s+${name}\\b`).test(code));
}

/** Runs an example in a process of its own; throws what it printed if it fails or does not end. */
function run({ place, code }: Example): void {
  const { code: script } = transformSync(code, { loader: 'ts', target: 'es2022', format: 'esm' });
  const file = join(project, `${place.replace(/\W/g, '-')}.mjs`);
  writeFileSync(file, `import { ${missing(code).join(', ')} } from 'relpos';\n${script}`);
  execFileSync(process.execPath, [file], { cwd: project, timeout: 30_000, stdio: 'pipe' });
}

describe('examples', () => {
  test('README.md is there, and shows the library at work', () => {
    expect(existsSync(join(root, 'README.md'))).toBe(true);
    expect(inDocuments.filter(({ place }) => place.startsWith('README.md')).length).toBeGreaterThan(0);
  });

  test('the sources have some', () => {
    expect(inSources.length).toBeGreaterThan(5);
  });

  test.each([...inDocuments, ...inSources])('$place', (example) => {
    run(example);
  });

  test('one that is wrong would be noticed', () => {
    expect(() => run({ place: 'wrong', code: "rotary({ dim: 3, theta: 1, layout: 'halves' });" })).toThrow('an even number');
  });
});
