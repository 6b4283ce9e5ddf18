// The tensors of a checkpoint: all headers are read and checked first, then the bytes come in the order of the files, a few rows at a time.

import { nearest } from '../arguments/check.ts';
import { quote } from '../cli/text.ts';
import type { OwnBytes } from '../platform/types.ts';
import { DTYPE_BITS, type Entry, headerLength, readHeader, type SafetensorsDtype, SafetensorsError } from '../safetensors/header.ts';
import { broken } from './fault.ts';
import type { Loading, RangeReader, Source, SourceFile } from './source.ts';

/** A tensor, as a header names it. */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly bytes: number;
  /** The file that has it. */
  readonly file: string;
}

/** Some rows of a tensor. A row is a vector of its last dimension; one element, if it has no more than one dimension. */
export interface TensorPiece {
  readonly tensor: TensorInfo;
  /** The first row, and how many there are: a multiple of 8 but for the last piece. A tensor without elements comes as one piece of none. */
  readonly row: number;
  readonly rows: number;
  /** Their bytes, at the start of a buffer of their own, so that a typed array of any element fits. Valid until the next piece is asked for. */
  readonly data: OwnBytes;
  readonly last: boolean;
}

/** How far a download has come, in bytes of the tensors that were asked for. */
export interface LoadProgress {
  readonly loaded: number;
  readonly total: number;
  readonly file: string;
}

/** Rows of a piece come in multiples of this: what the layers' panels have. */
const PANEL = 8;
/** Bytes of a piece, where eight rows are not more. */
const PIECE = 1 << 20;
/** The most bytes of eight rows. */
const LARGEST_PIECE = 1 << 26;
/** Unwanted bytes between two tensors that are read rather than asked anew for what follows. */
const GAP = 1 << 18;

/** A file with tensors, its header read. */
export interface WeightsFile {
  readonly name: string;
  readonly file: SourceFile;
  /** Where the tensors begin. */
  readonly start: number;
  readonly entries: readonly Entry[];
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Opens a file and reads its header.
 *
 * @param name what errors call it, if that is another file
 * @throws RelposError `bad-checkpoint` if it breaks the format; undefined if there is no such file
 */
export async function openWeightsFile(
  loading: Loading,
  source: Source,
  asked: string,
  name: string = asked,
): Promise<WeightsFile | { readonly missing: string }> {
  const file = await source.open(asked);
  if ('missing' in file) return file;
  try {
    return await readFileHeader(loading, name, file);
  } catch (error) {
    await file.close();
    if (error instanceof SafetensorsError) throw broken(loading.where, name, error.message, error);
    throw error;
  }
}

async function readFileHeader(loading: Loading, name: string, file: SourceFile): Promise<WeightsFile> {
  const { size } = file;
  const prefix = await readAt(file, 0, Math.min(9, size ?? 9));
  const length = headerLength(prefix, size);
  const header = await readAt(file, 8, length);
  const start = 8 + length;
  const { entries, metadata } = readHeader(header, size === undefined ? undefined : size - start);
  if (entries.length === 0) throw broken(loading.where, name, 'it has no tensors');
  return { name, file, start, entries, metadata };
}

async function readAt(file: SourceFile, begin: number, length: number): Promise<OwnBytes> {
  const bytes = new Uint8Array(length);
  const reader = file.reader(begin, begin + length);
  try {
    await reader.fill(bytes);
  } finally {
    reader.close();
  }
  return bytes;
}

/** Where a tensor lies. */
export interface Place {
  readonly info: TensorInfo;
  readonly source: WeightsFile;
  /** In the file. */
  readonly begin: number;
  readonly end: number;
}

/** A piece that is to be read. */
export interface Planned {
  readonly place: Place;
  readonly row: number;
  readonly rows: number;
  readonly begin: number;
  readonly length: number;
  readonly last: boolean;
  /** To where the bytes are read in one pass. */
  readonly passEnd: number;
}

/** The tensors of all files of a checkpoint. */
export class Weights {
  readonly #loading: Loading;
  readonly #files: WeightsFile[];
  readonly #places = new Map<string, Place>();

  /** @param fileOf which file of several has a tensor, by name; all tensors of a single file */
  constructor(loading: Loading, files: readonly WeightsFile[], fileOf?: ReadonlyMap<string, string>) {
    this.#loading = loading;
    this.#files = [...files];
    for (const source of files) {
      for (const entry of source.entries) if (!fileOf || fileOf.get(entry.name) === source.name) this.#add(source, entry, entry.name);
    }
  }

  /** Takes in the tensors of one more file; their names are behind that of the folder that it lies in. */
  add(source: WeightsFile, folder: string): void {
    this.#files.push(source);
    for (const entry of source.entries) this.#add(source, entry, `${folder}/${entry.name}`);
  }

  #add(source: WeightsFile, { dtype, shape, begin, end }: Entry, name: string): void {
    const info = Object.freeze({ name, dtype, shape: Object.freeze(shape), bytes: end - begin, file: source.name });
    this.#places.set(name, { info, source, begin: source.start + begin, end: source.start + end });
  }

  /** In the order of the files' bytes. */
  get names(): readonly string[] {
    return [...this.#places.keys()];
  }

  /** What the writer of the first file noted. */
  get metadata(): Readonly<Record<string, string>> {
    return (this.#files[0] as WeightsFile).metadata;
  }

  has(name: string): boolean {
    return this.#places.has(name);
  }

  /** @throws RelposError `bad-checkpoint` if there is no such tensor */
  info(name: string): TensorInfo {
    return this.#place(name).info;
  }

  /** Bytes of these tensors as they are stored; of all of them by default. */
  bytesOf(names: readonly string[] = this.names): number {
    return names.reduce((sum, name) => sum + this.info(name).bytes, 0);
  }

  #place(name: string): Place {
    const place = this.#places.get(name);
    if (place !== undefined) return place;
    const meant = nearest(name, this.names);
    const hint = meant === undefined ? '' : `; did you mean ${quote(meant)}?`;
    throw broken(this.#loading.where, this.#fileNames(), `has no tensor ${quote(name)}${hint}`);
  }

  #fileNames(): string {
    const [first, ...others] = this.#files as [WeightsFile, ...WeightsFile[]];
    return others.length === 0 ? first.name : `${first.name} and ${others.length} more`;
  }

  /** A whole tensor, in memory of its own: for small ones. */
  async read(name: string): Promise<OwnBytes> {
    const { source, begin, info } = this.#place(name);
    return readAt(source.file, begin, info.bytes);
  }

  /**
   * The tensors in the order of the files, whatever the order of `names`, each once, in pieces of about a megabyte. While one piece is worked
   * on, the next one is read; no more than these two are in memory.
   */
  async *stream(names: Iterable<string>, onProgress?: (progress: LoadProgress) => void): AsyncGenerator<TensorPiece, void, void> {
    const plan = this.plan(names);
    const total = plan.reduce((sum, { length }) => sum + length, 0);
    const largest = plan.reduce((most, { length }) => Math.max(most, length), 0);
    const buffers = [new Uint8Array(largest), new Uint8Array(plan.length > 1 ? largest : 0)] as const;
    const passes = new Passes();
    const start = (n: number): Promise<void> => {
      const piece = plan[n] as Planned;
      const reading = passes.read(piece, (buffers[n & 1] as Uint8Array).subarray(0, piece.length));
      // It may fail while nobody waits for it yet.
      reading.catch(() => {});
      return reading;
    };
    let loaded = 0;
    let reading = plan.length > 0 ? start(0) : undefined;
    try {
      for (let n = 0; n < plan.length; n++) {
        await reading;
        this.checkSignal();
        reading = n + 1 < plan.length ? start(n + 1) : undefined;
        const { place, row, rows, length, last } = plan[n] as Planned;
        loaded += length;
        onProgress?.({ loaded, total, file: place.info.file });
        const data = (buffers[n & 1] as OwnBytes).subarray(0, length);
        yield { tensor: place.info, row, rows, data, last };
      }
    } finally {
      passes.close();
    }
  }

  /** @throws the signal's reason if it is aborted */
  checkSignal(): void {
    const { signal } = this.#loading;
    if (signal?.aborted) throw signal.reason;
  }

  /** The pieces in the order of the bytes. */
  plan(names: Iterable<string>): Planned[] {
    const places = [...new Set(names)].map((name) => this.#place(name));
    const order = new Map(this.#files.map((file, n) => [file, n]));
    const rank = ({ source }: Place): number => order.get(source) as number;
    places.sort((a, b) => rank(a) - rank(b) || a.begin - b.begin);
    const ends = passEnds(places);
    return places.flatMap((place, n) => this.#pieces(place, ends[n] as number));
  }

  #pieces(place: Place, passEnd: number): Planned[] {
    const { info, begin } = place;
    const { rows, rowBytes } = this.#rows(info);
    const many = Math.max(PANEL, Math.floor(PIECE / (rowBytes * PANEL || 1)) * PANEL);
    const planned: Planned[] = [];
    let row = 0;
    do {
      const count = Math.min(many, rows - row);
      const last = row + count >= rows;
      planned.push({ place, row, rows: count, begin: begin + row * rowBytes, length: count * rowBytes, last, passEnd });
      row += count;
    } while (row < rows);
    return planned;
  }

  #rows({ name, dtype, shape, bytes, file }: TensorInfo): { readonly rows: number; readonly rowBytes: number } {
    const width = shape.length > 1 ? (shape.at(-1) as number) : 1;
    const rowBytes = (width * (DTYPE_BITS.get(dtype) as number)) / 8;
    const { where } = this.#loading;
    if (!Number.isInteger(rowBytes)) throw broken(where, file, `tensor ${quote(name)} of ${dtype} has rows that end within a byte`);
    const rows = rowBytes === 0 ? 0 : bytes / rowBytes;
    if (Math.min(rows, PANEL) * rowBytes > LARGEST_PIECE) {
      throw broken(where, file, `tensor ${quote(name)} has rows of ${rowBytes} bytes, more than can be streamed`);
    }
    return { rows, rowBytes };
  }

  /** Gives back files and connections. */
  async close(): Promise<void> {
    for (const { file } of this.#files) await file.close();
  }
}

/** For each place, to where its file is read in the same pass: to the end of the last one that follows without a large gap. */
function passEnds(places: readonly Place[]): number[] {
  const ends = places.map(({ end }) => end);
  for (let n = places.length - 2; n >= 0; n--) {
    const [place, next] = [places[n] as Place, places[n + 1] as Place];
    if (place.source === next.source && next.begin - place.end <= GAP) ends[n] = ends[n + 1] as number;
  }
  return ends;
}

/** One pass at a time over one file at a time. */
export class Passes {
  #reader: RangeReader | undefined;
  #file: WeightsFile | undefined;
  #at = 0;
  #end = 0;

  async read({ place: { source }, begin, length, passEnd }: Planned, into: Uint8Array): Promise<void> {
    if (length === 0) return;
    if (this.#file !== source || begin < this.#at || begin + length > this.#end) this.#turn(source, begin, passEnd);
    const reader = this.#reader as RangeReader;
    if (begin > this.#at) await reader.fill(new Uint8Array(begin - this.#at));
    await reader.fill(into);
    this.#at = begin + length;
  }

  #turn(source: WeightsFile, begin: number, end: number): void {
    this.close();
    this.#reader = source.file.reader(begin, end);
    this.#file = source;
    this.#at = begin;
    this.#end = end;
  }

  close(): void {
    this.#reader?.close();
    this.#reader = undefined;
    this.#file = undefined;
  }
}
