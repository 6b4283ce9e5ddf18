// Folders, corpora and models of the tests.
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A tiny BERT, whose vectors take a millisecond. */
export const MODEL: string = fileURLToPath(new URL('../../../../test/models/checkpoints/bert', import.meta.url));

const folders: string[] = [];

export function temporary(): string {
  const folder = mkdtempSync(join(tmpdir(), 'relpos-bulk-'));
  folders.push(folder);
  return folder;
}

export function removeAll(): void {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}

const WORDS = 'the king went up to a city and said unto all his people that they were to go out of it in the morning'.split(' ');

/** Sentences of 3 to 22 words, always the same. */
export function sentences(count: number, seed = 1): string[] {
  let state = seed;
  const next = (most: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 1;
    return state % most;
  };
  return Array.from(
    { length: count },
    (_, n) => `${n} ${Array.from({ length: 3 + next(20) }, () => WORDS[next(WORDS.length)]).join(' ')}.`,
  );
}

/** A corpus of lines. */
export function writeCorpus(texts: readonly string[]): string {
  const path = join(temporary(), 'corpus.txt');
  writeFileSync(path, texts.map((text) => `${text}\n`).join(''));
  return path;
}

/** Shards that are in a folder of results. */
export const shardsOf = (folder: string): number =>
  readdirSync(join(folder, 'shards')).filter((name) => name.endsWith('.safetensors')).length;

/** What a folder of results holds: names and checksums of all its files. */
export function contents(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map(({ parentPath, name }) => join(parentPath, name)).sort();
  return Object.fromEntries(
    paths.map((path) => [path.slice(folder.length + 1), createHash('sha256').update(readFileSync(path)).digest('hex')]),
  );
}
