// Files that somebody drops or chooses: read from a drop, and told apart.
import type { Files } from './sources.ts';

/** Files of a folder at most: a model has some dozens. */
const MOST_FILES = 2000;

/** A file and its path from what was dropped on. */
export interface Found {
  readonly path: string;
  readonly file: Blob;
}

const fileOf = (entry: FileSystemFileEntry): Promise<File> => new Promise((resolve, reject) => entry.file(resolve, reject));

async function childrenOf(entry: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = entry.createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    // Some at a time, until none is left.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return all;
    all.push(...some);
    if (all.length > MOST_FILES) return all;
  }
}

async function walk(entry: FileSystemEntry, found: Found[]): Promise<void> {
  if (found.length >= MOST_FILES) throw new Error(`This folder has more than ${MOST_FILES} files: choose the folder of one model.`);
  if (entry.isFile) found.push({ path: entry.fullPath.replace(/^\//, ''), file: await fileOf(entry as FileSystemFileEntry) });
  else for (const child of await childrenOf(entry as FileSystemDirectoryEntry)) await walk(child, found);
}

/** All files of a drop, those of folders too. To be called while the event lasts. */
export async function filesOfDrop(transfer: DataTransfer): Promise<Found[]> {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.() ?? undefined).filter((entry) => entry !== undefined);
  const plain = filesOfList(transfer.files);
  if (!entries.some(({ isDirectory }) => isDirectory)) return plain;
  const found: Found[] = [];
  for (const entry of entries) await walk(entry, found);
  return found;
}

/** The files of a field. */
export const filesOfList = (list: ArrayLike<File>): Found[] => {
  return Array.from(list, (file) => ({ path: file.webkitRelativePath || file.name, file }));
};

/** What was dropped. */
export type Dropped =
  | { readonly kind: 'config'; readonly name: string; readonly file: Blob }
  | { readonly kind: 'tensors'; readonly name: string; readonly file: Blob }
  | { readonly kind: 'folder'; readonly name: string; readonly files: Files };

const isWeights = (path: string): boolean => /\.(safetensors|gguf)$/i.test(path);

/** Tells what was dropped. @throws Error that says in a sentence why it is nothing that is read here */
export function tellApart(found: readonly Found[]): Dropped {
  const [first] = found;
  if (!first) throw new Error('Nothing was dropped that is a file.');
  if (found.length === 1) {
    const { file, path } = first;
    const name = path.split('/').at(-1) as string;
    if (/\.safetensors$/i.test(name)) return { kind: 'tensors', name, file };
    if (/\.gguf$/i.test(name)) return { kind: 'folder', name, files: new Map([[name, file]]) };
    if (/\.json$/i.test(name)) return { kind: 'config', name, file };
    throw new Error(`“${name}” is no config.json, no safetensors or GGUF file and no folder of a model.`);
  }
  const roots = found.filter(({ path }) => /(^|\/)config\.json$/.test(path)).map(({ path }) => path.slice(0, -'config.json'.length));
  const depth = (root: string): number => root.split('/').length;
  const [root, other] = roots.sort((a, b) => depth(a) - depth(b));
  const all = first.path.includes('/') ? `The folder “${first.path.split('/')[0]}”` : 'What was dropped';
  if (root === undefined) throw new Error(`${all} has no config.json, so nobody knows what model it is.`);
  if (other !== undefined && depth(other) === depth(root)) throw new Error(`${all} has several models: choose the folder of one.`);
  const files = new Map(found.filter(({ path }) => path.startsWith(root)).map(({ path, file }) => [path.slice(root.length), file]));
  if (![...files.keys()].some(isWeights)) throw new Error(`${all} has no safetensors file: there are no weights in it that are read here.`);
  return { kind: 'folder', name: root.replace(/\/$/, '').split('/').at(-1) || 'the files given', files };
}

/** Bytes as people read them. */
export function sizeOf(bytes: number): string {
  if (bytes < 1e3) return `${bytes} B`;
  const [unit, size] = bytes < 1e6 ? ['kB', 1e3] : bytes < 1e9 ? ['MB', 1e6] : ['GB', 1e9];
  const x = bytes / (size as number);
  return `${x >= 100 ? x.toFixed(0) : x.toPrecision(3)} ${unit}`;
}
