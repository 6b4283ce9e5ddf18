// The folder of results: shards by name, each whole or not there, and at the end an index that says which rows are in which.
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { isRun, sha256, show } from '../content.ts';
import { writeWhole } from '../store/folder-store.ts';
import { lock, unlock } from './lock.ts';
import { readSettings, type Settings, settingsText } from './settings.ts';
import { decodeVectors, type SetAside } from './vectors.ts';

/** One entry of the index. */
export interface IndexEntry {
  readonly file: string;
  /** The row of the whole that its first row is. */
  readonly first: number;
  readonly rows: number;
  readonly sha256: string;
}

/** A shard that is in the folder. */
export interface Written {
  readonly sha256: string;
  readonly width: number;
  readonly setAside: readonly SetAside[];
}

const FORMAT = 'relpos-bulk 1';
const RUN = 'run.json';
/** Holds the run's name while it is not finished. */
const NAME = '.run';
/** The name of a folder's run, which is begun if it was not. */
async function begin(folder: string, settings: Settings, tokens: number): Promise<string> {
  const run = `${JSON.stringify({ format: FORMAT, tokens, settings: JSON.parse(settingsText(settings)) }, undefined, 1)}\n`;
  const found = await readFile(join(folder, RUN), 'utf8').catch(() => undefined);
  if (found === undefined) await writeWhole(join(folder, RUN), run);
  else if (found !== run)
    throw new Error(`out: ${folder} was begun ${difference(found, settings, tokens)}: choose another folder, or the same settings`);
  const known = await readFile(join(folder, NAME), 'utf8').catch(() => '');
  const name = isRun(known) ? known : randomUUID();
  if (name !== known) await writeWhole(join(folder, NAME), name);
  return name;
}

export class OutFolder {
  readonly #folder: string;
  readonly #settings: Settings;
  /** The run's own name, by which it finds its jobs again when it goes on: another run of the same texts has jobs of its own. */
  readonly run: string;
  readonly #lock: string;

  private constructor(folder: string, settings: Settings, run: string, lock: string) {
    this.#folder = folder;
    this.#lock = lock;
    this.#settings = settings;
    this.run = run;
  }

  /** Opens or makes one. A folder that another run with other settings began is refused. */
  static async open(folder: string, settings: Settings, tokens: number): Promise<OutFolder> {
    await mkdir(join(folder, 'shards'), { recursive: true });
    const locked = await lock(folder);
    try {
      // What a process that was killed had not finished to write.
      for (const place of [folder, join(folder, 'shards')])
        for (const name of await readdir(place)) if (name.endsWith('.part')) await rm(join(place, name), { force: true });
      return new OutFolder(folder, settings, await begin(folder, settings, tokens), locked);
    } catch (error) {
      await unlock(locked);
      throw error;
    }
  }

  /** Leaves the folder to others. */
  async close(): Promise<void> {
    await unlock(this.#lock);
  }

  #path(name: string): string {
    return join(this.#folder, 'shards', `${name}.safetensors`);
  }

  /** A shard that is there and right; undefined if it is not. */
  async find(name: string, rows: number): Promise<Written | undefined> {
    const bytes = await readFile(this.#path(name)).catch(() => undefined);
    if (!bytes) return undefined;
    try {
      const { width, setAside } = decodeVectors(bytes, name, rows);
      return { sha256: sha256(bytes), width, setAside };
    } catch {
      return undefined; // Damaged since: it is computed again.
    }
  }

  async write(name: string, rows: number, bytes: Uint8Array): Promise<Written> {
    const { width, setAside } = decodeVectors(bytes, name, rows);
    await writeWhole(this.#path(name), bytes);
    return { sha256: sha256(bytes), width, setAside };
  }

  /** The end of a run: what was set aside, one line of JSON each, then the index. */
  async finish(entries: readonly IndexEntry[], width: number, setAside: readonly SetAside[]): Promise<void> {
    const there = new Set(await readdir(join(this.#folder, 'shards')));
    const gone = entries.filter(({ file }) => !there.has(basename(file))).length;
    if (gone) throw new Error(`out: ${gone} shards are gone again from ${this.#folder}: the same command computes them anew`);
    const rows = entries.reduce((sum, entry) => sum + entry.rows, 0);
    await writeWhole(join(this.#folder, 'set-aside.jsonl'), setAside.map((one) => `${JSON.stringify(one)}\n`).join(''));
    const about = { format: FORMAT, settings: this.#settings, rows, width, setAside: setAside.length };
    const lines = entries.map((entry) => `  ${JSON.stringify(entry)}`).join(',\n');
    await writeWhole(join(this.#folder, 'index.json'), `${JSON.stringify(about).slice(0, -1)},"shards":[\n${lines}\n]}\n`);
  }

  /** The run is over: the next one at this folder has another name. */
  async forgetRun(): Promise<void> {
    await rm(join(this.#folder, NAME), { force: true });
  }
}

/** In what another run differs, in words. */
function difference(text: string, settings: Settings, tokens: number): string {
  try {
    const { format, tokens: other, settings: given } = JSON.parse(text) as Record<string, unknown>;
    if (format !== FORMAT) return `by another version, ${show(format)}`;
    const theirs = readSettings(given, RUN);
    const names = (['model', 'weights', 'pooling', 'normalize', 'prompt', 'maxLength'] as const).filter(
      (name) => theirs[name] !== settings[name],
    );
    const parts = names.map((name) => `${name} ${show(theirs[name])} for ${show(settings[name])}`);
    if (other !== tokens) parts.push(`shards of ${show(other)} tokens for ${tokens}`);
    return `with ${parts.join(', ')}`;
  } catch {
    return `by something else: its ${RUN} cannot be read`;
  }
}
