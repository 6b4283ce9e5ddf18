// The comparison, in a worker of its own: onnxruntime-web is loaded from the page's files when the first case is asked for.

import type * as Ort from 'onnxruntime-web';
import { createEngine } from 'relpos';
import type { Precision } from '../settings.ts';
import { type ContestRow, contest } from './run.ts';

/** What a comparison is of. */
export interface Wanted {
  /** The folder of onnxruntime-web's files. */
  readonly folder: string;
  readonly threads: number;
  readonly precision: Precision;
  readonly cases: readonly string[];
}

/** What it tells while it goes on. */
export interface Told {
  readonly text: string;
  readonly share: number;
  readonly row?: ContestRow;
}

/** What scripts/onnxruntime.mjs writes beside the files. */
interface Manifest {
  readonly version: string;
  readonly wasm: string;
  readonly bytes: number;
}

/** Loading is this part of the work. */
const LOADING = 0.3;

async function get(folder: string, name: string): Promise<Response> {
  const response = await fetch(new URL(name, folder));
  // A host of files may answer what is missing by its start page.
  const type = response.headers.get('Content-Type') ?? '';
  if (!response.ok || type.startsWith('text/html'))
    throw new Error(`onnxruntime-web is not beside this page: there is no onnxruntime/${name}`);
  return response;
}

/** The bytes of the build, told as they come. */
async function download(folder: string, { wasm, bytes }: Manifest, tell: (told: Told) => void): Promise<ArrayBuffer> {
  const { body } = await get(folder, wasm);
  if (!body) throw new Error(`onnxruntime/${wasm} is empty`);
  const all = new Uint8Array(bytes);
  const reader = body.getReader();
  let at = 0;
  for (let said = 0; ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    if (at + value.length > bytes) throw new Error(`onnxruntime/${wasm} is longer than the ${bytes} bytes that its manifest names`);
    all.set(value, at);
    at += value.length;
    if (at - said < bytes / 20) continue;
    said = at;
    tell({ text: `Loading onnxruntime-web: ${(at / 1e6).toFixed(1)} of ${(bytes / 1e6).toFixed(1)} MB`, share: (LOADING * at) / bytes });
  }
  if (at < bytes) throw new Error(`onnxruntime/${wasm} ended after ${at} of ${bytes} bytes`);
  return all.buffer;
}

async function load({ folder, threads }: Wanted, tell: (told: Told) => void): Promise<{ ort: typeof Ort; version: string }> {
  tell({ text: 'Loading onnxruntime-web', share: 0 });
  const manifest = (await (await get(folder, 'manifest.json')).json()) as Manifest;
  const wasmBinary = await download(folder, manifest, tell);
  const ort = (await import(/* @vite-ignore */ new URL('ort.wasm.min.mjs', folder).href)) as typeof Ort;
  Object.assign(ort.env.wasm, { numThreads: threads, wasmPaths: folder, wasmBinary });
  return { ort, version: manifest.version };
}

export const api = {
  /** Compares cases one after another; tells each when it is done. */
  async run(wanted: Wanted, told: (told: Told) => void): Promise<{ version: string; threads: number; rows: ContestRow[] }> {
    const { threads, precision, cases } = wanted;
    const tell = (what: Told): void => void told(what);
    const engine = await createEngine({ threads, precision, logger: { warn(): void {} } });
    try {
      // Where relpos has one thread alone, so has the other.
      const found = engine.capabilities.threads;
      const { ort, version } = await load({ ...wanted, threads: found }, tell);
      const rows: ContestRow[] = [];
      const share = (): number => LOADING + ((1 - LOADING) * rows.length) / cases.length;
      for (const id of cases) {
        tell({ text: id, share: share() });
        const row = await contest(ort, engine, id, precision);
        rows.push(row);
        tell({ text: id, share: share(), row });
      }
      return { version, threads: found, rows };
    } finally {
      engine.dispose();
    }
  },
};

export type Api = typeof api;
