// Where the files of a checkpoint lie: what every kind of place can do.

import type { FetchResponse, Signal } from '../platform/types.ts';

/** `format` in the metadata of weights that are made of a GGUF file. */
export const GGUF = 'gguf';

/** An object of a JSON file. */
export type JsonObject = { readonly [key: string]: unknown };

/** A function like the host's own `fetch`. */
export type Fetch = (
  url: string,
  init: { readonly headers: Readonly<Record<string, string>>; readonly signal: Signal },
) => Promise<FetchResponse>;

/** What all that reads for one call has in common. */
export interface Loading {
  /** The call, as errors name it. */
  readonly where: string;
  readonly signal?: Signal | undefined;
  /** Used in place of the host's own. */
  readonly fetch?: Fetch | undefined;
  /** How long to wait and how often to try; for tests. */
  readonly patience?: Patience | undefined;
}

/** How a broken download goes on. */
export interface Patience {
  /** Failures in a row, within a mebibyte, that are too many. */
  readonly failures: number;
  /** Milliseconds before the second try; twice as many before each one after it. */
  readonly pause: number;
  /** Milliseconds without a byte after which a connection counts as broken. */
  readonly stall: number;
}

/** There is no such file; `missing` says how that is known. */
export interface Missing {
  readonly missing: string;
}

/** The files of a checkpoint. Names are those of a Hugging Face folder, with `/` between the parts. */
export interface Source {
  /** What it is called in errors. */
  readonly name: string;
  /** A whole file of at most `most` bytes, in memory of its own. */
  whole(name: string, most: number): Promise<Uint8Array | Missing>;
  /** A file that is read in parts. */
  open(name: string): Promise<SourceFile | Missing>;
  /** The file that the weights are made of, if there is no model.safetensors. */
  readonly weights?: string;
  /** What is wrong with config.json and the tensors, in the words of the file that they are made of. */
  restate?(what: string): string;
  /** The names of the files, where it is known. */
  list?(): Promise<readonly string[]>;
}

/** A file that is read in parts. */
export interface SourceFile {
  /** Its bytes; undefined if the source does not tell. */
  readonly size: number | undefined;
  /** A pass over the bytes [begin, end). */
  reader(begin: number, end: number): RangeReader;
  /** Gives back what it holds. Its readers are closed before. */
  close(): Promise<void>;
}

/** One pass over a part of a file, from its first byte to its last. */
export interface RangeReader {
  /** The next bytes, as many as `target` has. One call at a time. */
  fill(target: Uint8Array): Promise<void>;
  /** Gives back what it holds; nothing is asked of it after this. */
  close(): void;
}

/**
 * The parts of a file's name, if it stays within the checkpoint: no `..`, no root, no drive, nothing that a URL or a file system would read
 * another way. Names come from files that anybody may have written.
 */
export function nameParts(name: unknown): string[] | undefined {
  if (typeof name !== 'string' || name.length > 1024) return undefined;
  const parts = name.split('/');
  return parts.every((part) => /^[^\\:*?"<>|\p{Cc}]+$/u.test(part) && !/^\.+$|[. ]$/.test(part)) ? parts : undefined;
}
