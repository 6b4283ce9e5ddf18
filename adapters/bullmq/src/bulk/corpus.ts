// Texts from a file or a stream, one after another, without holding more than a line: JSON lines, lines, either of them in gzip.
import { createReadStream, open as openFd } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Socket } from 'node:net';
import process from 'node:process';
import { pipeline, Readable } from 'node:stream';
import { promisify, TextDecoder } from 'node:util';
import { createGunzip } from 'node:zlib';
import { orAborted } from '../abort.ts';
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
  /** Ends the reading, also one that waits for more to come: it fails with this reason. */
  readonly stop: (reason: unknown) => void;
}

const NEWLINE = 10;
const LONGEST = 2 ** 20;

/** Opens a corpus: a file's name, or `-` for standard input. */
export async function openCorpus(path: string, options: CorpusOptions = {}): Promise<Corpus> {
  const { source, total } = path === '-' ? { source: process.stdin, total: undefined } : await openFile(path);
  const format = options.format ?? (/\.(jsonl|ndjson|json)(\.gz)?$/i.test(path) ? 'jsonl' : 'text');
  const ending = new AbortController();
  const stop = (reason: unknown): void => {
    ending.abort(reason);
    source.destroy();
  };
  if (options.signal?.aborted) stop(options.signal.reason);
  options.signal?.addEventListener('abort', () => stop(options.signal?.reason));
  let read = 0;
  const counted = async function* (): AsyncGenerator<Uint8Array> {
    const chunks = source[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
    for (;;) {
      // A stream that was destroyed still waits for what it had begun to read: a pipe's end may never come.
      const { value, done } = await orAborted(chunks.next(), ending.signal);
      if (done) return;
      read += value.length;
      yield value;
    }
  };
  const lines = linesOf(unzipped(counted(), path), options.longest ?? LONGEST);
  return { items: itemsOf(lines, format, options.field ?? 'text'), read: () => read, total, stop };
}

/** The bytes of a file, and how many there are. A folder, or nothing, is no corpus. */
async function openFile(path: string): Promise<{ source: Readable; total: number | undefined }> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw new Error(`corpus: expected a file, got ${show(path)}: ${error.code === 'ENOENT' ? 'there is none' : error.message}`);
  });
  if (found.isDirectory()) throw new Error(`corpus: expected a file, got the folder ${show(path)}`);
  if (!found.isFIFO()) return { source: createReadStream(path), total: found.size };
  // A pipe is read as a socket is: a read of a file that waits for its end would keep the process from ending.
  return { source: new Socket({ fd: await promisify(openFd)(path, 'r'), readable: true, writable: false }), total: undefined };
}

const isGzip = (head: Uint8Array): boolean => head[0] === 0x1f && head[1] === 0x8b;

/** The first two bytes of a stream at least, if it has so many, and a stream of all of them. */
async function headOf(chunks: AsyncIterable<Uint8Array>): Promise<{ head: Uint8Array; whole: AsyncGenerator<Uint8Array> }> {
  const source = chunks[Symbol.asyncIterator]();
  let head: Uint8Array = Buffer.alloc(0);
  while (head.length < 2) {
    const { value, done } = await source.next();
    if (done) break;
    head = Buffer.concat([head, value]);
  }
  const whole = async function* (): AsyncGenerator<Uint8Array> {
    yield head;
    for (let next = await source.next(); !next.done; next = await source.next()) yield next.value;
  };
  return { head, whole: whole() };
}

/** What gzip's first two bytes begin is unpacked, whatever it is called. */
async function* unzipped(chunks: AsyncIterable<Uint8Array>, path: string): AsyncGenerator<Uint8Array> {
  const packed = await headOf(chunks);
  if (!isGzip(packed.head)) return yield* packed.whole;
  const gunzip = createGunzip();
  // A fault of either end comes out of the reading.
  pipeline(Readable.from(packed.whole), gunzip, () => {});
  try {
    const { head, whole } = await headOf(gunzip as AsyncIterable<Uint8Array>);
    if (isGzip(head)) throw new RangeError(`corpus: expected texts in ${show(path)}, got gzip within gzip`);
    yield* whole;
  } catch (error) {
    if (!(error as NodeJS.ErrnoException).code?.startsWith('Z_')) throw error;
    throw new Error(`corpus: ${show(path)} is damaged, or ends before its gzip does: ${(error as Error).message}`);
  }
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
