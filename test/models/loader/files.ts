// A small checkpoint, and a server that breaks in the ways that servers do.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type SafeTensor, writeSafetensors } from '../../../src/safetensors/index.ts';

const ROWS = 5000;
const WIDTH = 96;

/** A tensor whose elements say where they are. */
export function numbered(shape: readonly number[], start = 0): SafeTensor {
  const size = shape.reduce((product, n) => product * n, 1);
  const values = Float32Array.from({ length: size }, (_, n) => start + n);
  return { dtype: 'F32', shape, data: new Uint8Array(values.buffer) };
}

/** Two megabytes, so that a file is neither one piece nor one packet. */
export const TENSORS: Readonly<Record<string, SafeTensor>> = {
  'embedding.weight': numbered([ROWS, WIDTH]),
  'norm.weight': numbered([WIDTH], 7),
  'layer.weight': numbered([33, WIDTH], 1000),
  scale: numbered([], 3),
  empty: numbered([0, WIDTH]),
};

export const CONFIG: Readonly<Record<string, unknown>> = { model_type: 'bert', hidden_size: WIDTH };
const text = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

/** A checkpoint with one file of weights. */
export const SINGLE: Readonly<Record<string, Uint8Array>> = {
  'config.json': text(CONFIG),
  'generation_config.json': text({ eos_token_id: 2 }),
  'model.safetensors': writeSafetensors(TENSORS, { format: 'pt' }),
};

/** The same in two files with an index. */
export const SHARDED: Readonly<Record<string, Uint8Array>> = {
  'config.json': text(CONFIG),
  'model-00001-of-00002.safetensors': writeSafetensors({ 'embedding.weight': TENSORS['embedding.weight'] as SafeTensor }),
  'model-00002-of-00002.safetensors': writeSafetensors(
    Object.fromEntries(Object.entries(TENSORS).filter(([name]) => name !== 'embedding.weight')),
  ),
  'model.safetensors.index.json': text({
    metadata: { total_size: 1 },
    weight_map: Object.fromEntries(
      Object.keys(TENSORS).map((name) => [name, `model-0000${name === 'embedding.weight' ? 1 : 2}-of-00002.safetensors`]),
    ),
  }),
};

/** A change of one answer: it may write the answer itself, and then returns true. */
export type Trick = (request: IncomingMessage, response: ServerResponse, file: Uint8Array | undefined) => boolean;

/** What a server was asked for. */
export interface Asked {
  readonly name: string;
  readonly range: string | undefined;
}

/** Serves files with ranges and tags on a port of the loopback. */
export class Server {
  readonly #server = createServer((request, response) => this.#answer(request, response));
  readonly asked: Asked[] = [];
  /** Answers that have not ended. */
  readonly answering: Set<ServerResponse> = new Set();
  files: Readonly<Record<string, Uint8Array>>;
  tag = '"one"';
  trick: Trick = () => false;

  constructor(files: Readonly<Record<string, Uint8Array>>) {
    this.files = files;
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/models/small`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const name = decodeURIComponent((request.url ?? '').split('?')[0]?.split('/').slice(3).join('/') ?? '');
    const { range } = request.headers;
    this.asked.push({ name, range });
    this.answering.add(response);
    response.on('close', () => this.answering.delete(response));
    const file = this.files[name];
    if (this.trick(request, response, file)) return;
    if (file === undefined) response.writeHead(404).end('no such file');
    else this.give(response, file, range);
  }

  /** The file, or the part that is asked for. */
  give(response: ServerResponse, file: Uint8Array, range: string | undefined): void {
    const { begin, end } = partOf(file, range);
    const headers = { etag: this.tag, 'content-length': end - begin, 'content-type': 'application/octet-stream' };
    if (range === undefined) response.writeHead(200, headers).end(file);
    else if (begin >= file.length) response.writeHead(416, { 'content-range': `bytes */${file.length}` }).end();
    else
      response.writeHead(206, { ...headers, 'content-range': `bytes ${begin}-${end - 1}/${file.length}` }).end(file.subarray(begin, end));
  }

  /** The same, but the connection ends after `count` bytes of the body. */
  cut(response: ServerResponse, file: Uint8Array, range: string | undefined, count: number): void {
    const { begin, end } = partOf(file, range);
    response.writeHead(range === undefined ? 200 : 206, {
      etag: this.tag,
      'content-length': end - begin,
      ...(range !== undefined && { 'content-range': `bytes ${begin}-${end - 1}/${file.length}` }),
    });
    response.write(file.subarray(begin, Math.min(end, begin + count)), () => setTimeout(() => response.destroy(), 20));
  }
}

function partOf(file: Uint8Array, range: string | undefined): { readonly begin: number; readonly end: number } {
  const match = /^bytes=(\d+)-(\d*)$/.exec(range ?? '');
  if (match === null) return { begin: 0, end: file.length };
  return { begin: Number(match[1]), end: Math.min(file.length, match[2] ? Number(match[2]) + 1 : file.length) };
}
