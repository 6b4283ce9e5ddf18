// Texts from a file or a stream, one after another, without holding more than a line: JSON lines, lines, either of them in gzip.
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import process from 'node:process';
import { pipeline, Readable } from 'node:stream';
import { TextDecoder } from 'node:util';
import { createGunzip } from 'node:zlib';
import { show } from '../content.ts';

/** A text, or why a line has none: such a line keeps its row. */
export type Item = string | { readonly reason: string };

/** How a corpus is read. */
export interface CorpusOptions {
  /** `'jsonl'`: an object on each line; `'text'`: the line is the text. Default by the name: .jsonl, .ndjson, .json, or .gz after them, are the first. */
  readonly format?: 'jsonl' | 'text';
  /** The key of the text in each object. Default `text`. */
  readonly field?: string;
  /** Bytes of a line at most; a longer one is set aside. Default 1 MiB. */
  readonly longest?: number;
  readonly signal?: AbortSignal;
}

/** A corpus that is being read. */
export interface Corpus {
  readonly items: AsyncIterable<Item>;
  /** Bytes read so far, as they lie on the disk. */
  readonly read: () => number;
  /** Bytes in all, if that is known. */
  readonly total: number | undefined;
}

const NEWLINE = 10;
const LONGEST = 2 ** 20;

/** Opens a corpus: a file's name, or `-` for standard input. */
export async function openCorpus(path: string, options: CorpusOptions = {}): Promise<Corpus> {
  const isInput = path === '-';
  const total = isInput ? undefined : (await stat(path)).size;
  const source: Readable = isInput ? process.stdin : createReadStream(path);
  const format = options.format ?? (/\.(jsonl|ndjson|json)(\.gz)?$/i.test(path) ? 'jsonl' : 'text');
  let read = 0;
  const counted = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      options.signal?.throwIfAborted();
      read += (chunk as Uint8Array).length;
      yield chunk as Uint8Array;
    }
  };
  const lines = linesOf(unzipped(counted()), options.longest ?? LONGEST);
  return { items: itemsOf(lines, format, options.field ?? 'text'), read: () => read, total };
}

/** What gzip's first two bytes begin is unpacked, whatever it is called. */
async function* unzipped(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const source = chunks[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  while (head.length < 2) {
    const { value, done } = await source.next();
    if (done) break;
    head = Buffer.concat([head, value]);
  }
  const whole = async function* (): AsyncGenerator<Uint8Array> {
    yield head;
    for (let next = await source.next(); !next.done; next = await source.next()) yield next.value;
  };
  if (head[0] !== 0x1f || head[1] !== 0x8b) return yield* whole();
  const gunzip = createGunzip();
  // A fault of either end comes out of the reading.
  pipeline(Readable.from(whole()), gunzip, () => {});
  yield* gunzip as AsyncIterable<Uint8Array>;
}

/** Lines as bytes; undefined for one that is longer than `longest`. */
async function* linesOf(chunks: AsyncIterable<Uint8Array>, longest: number): AsyncGenerator<Uint8Array | undefined> {
  let parts: Uint8Array[] = [];
  let length = 0;
  const add = (part: Uint8Array): void => {
    length += part.length;
    if (length <= longest) parts.push(part);
    else parts = [];
  };
  const take = (): Uint8Array | undefined => {
    const line = length <= longest ? Buffer.concat(parts) : undefined;
    [parts, length] = [[], 0];
    return line;
  };
  for await (const chunk of chunks) {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      add(chunk.subarray(from, end));
      yield take();
      from = end + 1;
    }
    if (from < chunk.length) add(chunk.subarray(from));
  }
  // After the last newline there is a line only if there is something.
  if (length > 0) yield take();
}

async function* itemsOf(lines: AsyncIterable<Uint8Array | undefined>, format: 'jsonl' | 'text', field: string): AsyncGenerator<Item> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  for await (const line of lines) yield line ? itemOf(line, decoder, format, field) : { reason: 'the line is too long' };
}

function itemOf(line: Uint8Array, decoder: TextDecoder, format: 'jsonl' | 'text', field: string): Item {
  let text: string;
  try {
    text = decoder.decode(line).replace(/\r$/, '');
  } catch {
    return { reason: 'the line is not UTF-8' };
  }
  if (format === 'text') return text;
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return { reason: 'the line is not JSON' };
  }
  if (typeof parsed !== 'object' || parsed === null) return { reason: 'the line is no object of JSON' };
  const found = Object.hasOwn(parsed, field) ? (parsed as Record<string, unknown>)[field] : undefined;
  return typeof found === 'string' ? found : { reason: `${show(field)} expected a string, got ${show(found)}` };
}
