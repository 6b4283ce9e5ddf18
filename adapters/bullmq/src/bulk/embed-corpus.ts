// A run: shards are cut from the corpus as it is read, those that are there are passed over, as many as the computer takes are under way, and the folder
// gets its index at the end.
import { orAborted } from '../abort.ts';
import type { Computer } from './computer.ts';
import type { Corpus, Item } from './corpus.ts';
import { type Batch, cutShards } from './cut.ts';
import type { IndexEntry, OutFolder, Written } from './out-folder.ts';
import type { Settings } from './settings.ts';
import { shardName } from './texts.ts';
import type { SetAside } from './vectors.ts';

/** How far a run is. */
export interface Progress {
  readonly texts: number;
  /** Texts that were in the folder already. */
  readonly found: number;
  readonly setAside: number;
  readonly shards: number;
  /** Shards under way. */
  readonly underWay: number;
  /** From 0 to 1; undefined if nobody knows how long the corpus is. */
  readonly share: number | undefined;
}

export interface RunOptions {
  readonly corpus: Corpus;
  readonly out: OutFolder;
  readonly computer: Computer;
  readonly settings: Settings;
  /** Tokens of a shard, about. */
  readonly tokens: number;
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
}

/** What a run gave. */
export interface RunResult {
  readonly rows: number;
  readonly width: number;
  readonly shards: number;
  readonly setAside: number;
}

interface Done extends Written {
  readonly name: string;
  readonly batch: { readonly first: number; readonly rows: number };
}

/** Embeds a corpus. */
export async function embedCorpus(options: RunOptions): Promise<RunResult> {
  const { corpus, out, computer, settings, tokens, onProgress } = options;
  // One fault ends all that is under way.
  const own = new AbortController();
  const signal = AbortSignal.any([options.signal, own.signal]);
  const done: Done[] = [];
  const underWay = new Set<Promise<void>>();
  /** Shards under way by name: two that are alike are one. */
  const byName = new Map<string, Promise<Written>>();
  let [texts, found, setAside, readAtLast] = [0, 0, 0, 0];
  let failure: { readonly error: unknown } | undefined;
  const tell = (): void => {
    const share = corpus.total === undefined ? undefined : corpus.total === 0 ? 1 : readAtLast / corpus.total;
    onProgress?.({ texts, found, setAside, shards: done.length, underWay: underWay.size, share });
  };

  const make = async (name: string, items: readonly Item[]): Promise<Written> => {
    const known = await out.find(name, items.length);
    if (known) {
      found += items.length;
      return known;
    }
    return out.write(name, items.length, await computer.compute({ name, items }, signal));
  };
  const handle = async ({ first, items }: Batch, read: number): Promise<void> => {
    const name = shardName(items, settings);
    const making = byName.get(name) ?? make(name, items);
    byName.set(name, making);
    const written = await making.finally(() => byName.delete(name));
    done.push({ ...written, name, batch: { first, rows: items.length } });
    texts += items.length;
    setAside += written.setAside.length;
    readAtLast = Math.max(readAtLast, read);
    tell();
  };

  const stop = (): void => corpus.stop(signal.reason);
  signal.addEventListener('abort', stop);
  const batches = cutShards(corpus.items, tokens, settings.maxLength);
  try {
    for (;;) {
      const next = await orAborted(batches.next(), signal);
      if (next.done) break;
      const one = handle(next.value, corpus.read())
        .catch((error: unknown) => {
          failure ??= { error };
          own.abort(error);
        })
        .finally(() => underWay.delete(one));
      underWay.add(one);
      tell();
      while (underWay.size >= computer.ahead && !failure) await Promise.race(underWay);
      if (failure) break;
    }
  } catch (error) {
    failure ??= { error };
    own.abort(error);
  }
  await Promise.all(underWay);
  signal.removeEventListener('abort', stop);
  options.signal.throwIfAborted();
  if (failure) throw failure.error;
  const result = await finish(out, done);
  await orAborted(computer.finish(), signal);
  // Last: a run that ends before this is found again by its name, with all that it left behind elsewhere.
  await out.forgetRun();
  return result;
}

async function finish(out: OutFolder, done: Done[]): Promise<RunResult> {
  done.sort((a, b) => a.batch.first - b.batch.first);
  const entries = done.map(({ name, batch, sha256 }): IndexEntry => ({ file: `shards/${name}.safetensors`, ...batch, sha256 }));
  const setAside = done.flatMap(({ batch, setAside: rows }) =>
    rows.map(({ row, reason }): SetAside => ({ row: batch.first + row, reason })),
  );
  const width = Math.max(0, ...done.map((one) => one.width));
  await out.finish(entries, width, setAside);
  return { rows: entries.reduce((sum, { rows }) => sum + rows, 0), width, shards: entries.length, setAside: setAside.length };
}
