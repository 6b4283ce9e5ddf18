// Models by content: a manifest lists the files of a folder with their checksums, and its own checksum is the model's. The same model has the same on
// every machine, and what comes over HTTP is believed only if it has it.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { pipeline } from 'node:stream/promises';
import { integer, isSha256, record, sha256, show } from '../content.ts';
import { writeWhole } from '../store/folder-store.ts';

/** The name of the manifest beside the files. */
export const MANIFEST = 'relpos-bulk.json';

const VERSION = 1;
const MOST_FILES = 1000;
const MOST_MANIFEST = 2 ** 20;

interface ModelFile {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** What a model is: the text of its manifest, and that text's checksum. */
export interface Manifest {
  readonly text: string;
  readonly digest: string;
  readonly files: readonly ModelFile[];
}

/** Files of models: their settings, tokenizers and weights, at the top or one folder deep, as sentence-transformers has them. */
const isModelFile = (path: string): boolean =>
  /^([\w.-]+\/)?[\w.-]+\.(json|safetensors|gguf|jinja)$/.test(path) && path !== MANIFEST && !path.includes('..');

async function checksum(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/** The manifest of a folder. Its own copy there, if there is one, is not asked. */
export async function manifestOf(folder: string): Promise<Manifest> {
  const paths: string[] = [];
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: Error) => {
    throw new Error(`model: expected a folder with a config.json, got ${show(folder)}: ${error.message}`);
  });
  for (const entry of entries) {
    if (!entry.isDirectory()) paths.push(entry.name);
    else if (/^\d+_\w+$/.test(entry.name)) for (const name of await readdir(join(folder, entry.name))) paths.push(`${entry.name}/${name}`);
  }
  const files: ModelFile[] = [];
  for (const path of paths.filter(isModelFile).sort()) {
    files.push({ path, bytes: (await stat(join(folder, path))).size, sha256: await checksum(join(folder, path)) });
  }
  if (!files.some(({ path }) => path === 'config.json')) throw new Error(`model: expected a folder with a config.json, got ${folder}`);
  return manifest(files);
}

function manifest(files: readonly ModelFile[]): Manifest {
  const text = `${JSON.stringify({ version: VERSION, files }, undefined, 1)}\n`;
  return { text, digest: sha256(text), files };
}

/** Reads a manifest that came from elsewhere. */
export function readManifest(text: string): Manifest {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new RangeError(`${MANIFEST}: expected JSON`);
  }
  const { version, files } = record(parsed, MANIFEST, ['version', 'files']);
  if (version !== VERSION) throw new RangeError(`${MANIFEST}: "version" expected ${VERSION}, got ${show(version)}`);
  if (!Array.isArray(files) || files.length > MOST_FILES)
    throw new RangeError(`${MANIFEST}: "files" expected a list of ${MOST_FILES} at most`);
  const read = files.map((file: unknown, n): ModelFile => {
    const what = `${MANIFEST}: files[${n}]`;
    const { path, bytes, sha256: sum } = record(file, what, ['path', 'bytes', 'sha256']);
    if (typeof path !== 'string' || !isModelFile(path))
      throw new RangeError(`${what}: "path" expected a file of a model, got ${show(path)}`);
    if (!isSha256(sum)) throw new RangeError(`${what}: "sha256" expected 64 hexadecimal digits, got ${show(sum)}`);
    return { path, bytes: integer(bytes, `${what}: "bytes"`, 0, Number.MAX_SAFE_INTEGER), sha256: sum };
  });
  return { text, digest: sha256(text), files: read };
}

async function fetchBytes(address: URL, most: number, signal: AbortSignal | undefined): Promise<Response> {
  const response = await fetch(address, signal ? { signal } : {}).catch((error: Error) => {
    if (signal?.aborted) throw error;
    throw new Error(`${address.href} cannot be reached: ${(error.cause as Error | undefined)?.message || error.message}`);
  });
  if (!response.ok) throw new Error(`${address.href}: ${response.status} ${response.statusText}`);
  const length = Number(response.headers.get('content-length') ?? 0);
  if (length > most) throw new RangeError(`${address.href}: expected ${most} bytes at most, got ${length}`);
  return response;
}

/** A text that is not read further than `most` bytes, whatever its header says. */
async function fetchText(address: URL, most: number, signal: AbortSignal | undefined): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of (await fetchBytes(address, most, signal)).body ?? []) {
    bytes += part.length;
    if (bytes > most) throw new RangeError(`${address.href}: expected ${most} bytes at most, got more`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}

/** Takes a file to the disk as it comes; it has its name only once it is whole and is what the manifest says. */
async function download(address: URL, to: string, file: ModelFile, signal: AbortSignal | undefined): Promise<void> {
  const { open } = await import('node:fs/promises');
  const response = await fetchBytes(address, file.bytes, signal);
  const temporary = `${to}.${process.pid}.part`;
  await mkdir(dirname(to), { recursive: true });
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    const target = await open(temporary, 'w');
    try {
      for await (const chunk of response.body ?? []) {
        bytes += chunk.length;
        if (bytes > file.bytes) break;
        hash.update(chunk);
        await target.writeFile(chunk);
      }
      await target.sync();
    } finally {
      await target.close();
    }
    if (bytes !== file.bytes)
      throw new RangeError(`${address.href}: expected ${file.bytes} bytes, got ${bytes > file.bytes ? 'more' : bytes}`);
    if (hash.digest('hex') !== file.sha256) throw new RangeError(`${address.href}: has another checksum than the manifest says`);
    await rename(temporary, to);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/**
 * A model of an HTTP address in a folder of `cache`, named by its checksum: the manifest is believed if it has the checksum `digest`, a file if the manifest
 * says so. What is there already and right is not fetched again.
 */
export async function fetchModel(
  address: string,
  digest: string,
  cache: string,
  signal?: AbortSignal,
): Promise<{ folder: string; digest: string }> {
  if (!isSha256(digest))
    throw new TypeError(
      `model: a model from an address needs its checksum (64 hexadecimal digits, from "relpos-bulk digest"), got ${show(digest)}`,
    );
  const base = new URL(address.endsWith('/') ? address : `${address}/`);
  const folder = join(cache, digest);
  const kept = await readFile(join(folder, MANIFEST), 'utf8').catch(() => undefined);
  const text = kept !== undefined && sha256(kept) === digest ? kept : await fetchText(new URL(MANIFEST, base), MOST_MANIFEST, signal);
  const { digest: found, files } = readManifest(text);
  if (found !== digest) throw new RangeError(`${base.href}${MANIFEST}: expected the checksum ${digest}, got ${found}`);
  await mkdir(folder, { recursive: true });
  for (const file of files) {
    const to = join(folder, file.path);
    const size = await stat(to).then(
      (found) => found.size,
      () => -1,
    );
    if (size === file.bytes && (await checksum(to)) === file.sha256) continue;
    await download(new URL(file.path, base), to, file, signal);
  }
  await writeWhole(join(folder, MANIFEST), text);
  return { folder, digest };
}

export const isAddress = (model: string): boolean => /^https?:\/\//.test(model);
