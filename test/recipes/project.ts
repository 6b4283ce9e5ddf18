/** The recipes as a user has them: copied into a project of their own, the library installed beside them. */
import { cpSync, existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { afterAll, describe } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A folder with the recipes, the embedding worker and, under `node_modules`, what is packed of the built library; it goes after the tests of the file. */
export function makeProject(): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'relpos-recipes-')));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const { files } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { files: string[] };
  for (const name of ['package.json', ...files]) {
    cpSync(join(root, name), join(folder, 'node_modules/relpos', name), { recursive: true });
  }
  cpSync(join(root, 'node_modules/@huggingface/tokenizers'), join(folder, 'node_modules/@huggingface/tokenizers'), { recursive: true });
  cpSync(join(root, 'examples/recipes'), folder, { recursive: true });
  cpSync(join(root, 'examples/embedding-worker'), join(folder, 'embedding-worker'), { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
  return folder;
}

/** A program or package among the other runtimes. */
export const runtime = (path: string): string => fileURLToPath(new URL(`../runtimes/node_modules/${path}`, import.meta.url));

/** `describe` where the file is there; elsewhere it says what is missing, and under CI the tests run all the same, and fail. */
export function describeWith(path: string, name: string, tests: () => void): void {
  const here = existsSync(path);
  if (!here) console.log(`${name}: ${path} is not here`);
  describe.skipIf(!here && process.env.CI !== 'true')(name, tests);
}
