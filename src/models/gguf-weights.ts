// The tensors of a GGUF file as a safetensors file has them, which nobody ever wrote: its header is made, and its bytes are made of the blocks as
// they are read, so that all that reads checkpoints reads these.

import { quote } from '../cli/text.ts';
import type { OwnBytes } from '../platform/types.ts';
import { writeHeader } from '../safetensors/write-header.ts';
import { broken } from './fault.ts';
import { GGUF_TYPES, type GgufType } from './gguf-blocks.ts';
import type { GgufHeader, GgufTensor } from './gguf-file.ts';
import type { GgufModel } from './gguf-model.ts';
import { GGUF, type RangeReader, type SourceFile } from './source.ts';

/** Bytes that a group of rows has at most, unless it is rows of one head, or a row. */
const GROUP = 1 << 18;

/** A tensor in both files. */
interface Mapped {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: GgufType;
  /** Rows that are converted together, and how many of these there are. */
  readonly rows: number;
  readonly groups: number;
  /** Whether the even rows of a group are the first half of them, and the odd ones the other. */
  readonly paired: boolean;
  /** Bytes of a row there and here; where the tensor begins there and here. */
  readonly from: number;
  readonly to: number;
  readonly start: number;
  readonly begin: number;
  /** Here. */
  readonly end: number;
}

/** The file that is not there. @throws RelposError `bad-checkpoint` if a tensor is of a type that is not known, or not whole */
export function ggufWeights(where: string, name: string, file: SourceFile, header: GgufHeader, model: GgufModel): SourceFile {
  const tensors: Mapped[] = [];
  // In the order of their bytes, so that passes over the one file are passes over the other.
  for (const tensor of [...header.tensors].sort((a, b) => a.offset - b.offset))
    tensors.push(mapped(where, name, header, tensor, model, tensors.at(-1)?.end ?? 0, file.size));
  const head = writeHeader(
    tensors.map(({ name: own, type, shape, begin, end }) => ({ name: own, dtype: type.dtype, shape, bytes: end - begin })),
    {
      format: GGUF,
      weights: usualType(tensors),
      bytes: `${tensors.reduce((sum, { begin, end, from, to }) => sum + ((end - begin) / to) * from, 0)}`,
    },
  );
  const size = head.length + (tensors.at(-1)?.end ?? 0);
  return {
    size,
    close: () => file.close(),
    reader: (begin, end) => new ConvertingReader(file, head, tensors, begin, Math.min(end, size)),
  };
}

function mapped(
  where: string,
  file: string,
  { start }: GgufHeader,
  { name, shape, type: number, offset }: GgufTensor,
  model: GgufModel,
  begin: number,
  size: number | undefined,
): Mapped {
  const fail = (what: string): never => {
    throw broken(where, file, `tensor ${quote(name)} ${what}`);
  };
  const type = GGUF_TYPES[number];
  const known = Object.values(GGUF_TYPES).map((one) => one.name);
  if (!type) return fail(`is of type ${number}, and only ${known.join(', ')} are read`);
  const width = shape.at(-1) ?? 1;
  const rows = shape.slice(0, -1).reduce((product, one) => product * one, 1);
  if (width % type.block !== 0) fail(`has rows of ${width}, and ${type.name} has blocks of ${type.block}`);
  const [from, to] = [(width / type.block) * type.bytes, width * type.size];
  if (!Number.isSafeInteger(start + offset + rows * to)) fail(`expected a size that there is, got ${shape.join(' × ')}`);
  if (size !== undefined && start + offset + rows * from > size) fail(`ends at byte ${start + offset + rows * from} of a file of ${size}`);
  const heads = model.pairedHeads(name);
  // Rows of a bias are its numbers.
  const bias = heads > 0 && shape.length === 1;
  const all = bias ? width : rows;
  if (heads > 0 && all % (2 * heads) !== 0) fail(`expected rows of ${heads} heads, got ${all}`);
  if (bias && type.block > 1) fail(`expected numbers without blocks, got ${type.name}`);
  const [rowFrom, rowTo] = bias ? [type.bytes, type.size] : [from, to];
  const grouped = heads > 0 ? all / heads : Math.max(1, Math.min(all, Math.floor(GROUP / Math.max(1, rowTo))));
  return {
    name: model.nameOf(name),
    shape,
    type,
    rows: grouped,
    groups: Math.ceil(all / grouped),
    paired: heads > 0,
    from: rowFrom,
    to: rowTo,
    start: start + offset,
    begin,
    end: begin + all * rowTo,
  };
}

/** What the weights are loaded as unless something else is asked for: what is nearest to the type that most of them have. */
function usualType(tensors: readonly Mapped[]): string {
  const numbers = new Map<string, number>();
  for (const { type, begin, end } of tensors) numbers.set(type.name, (numbers.get(type.name) ?? 0) + (end - begin) / type.size);
  const [most = 'F32'] = [...numbers].sort(([, a], [, b]) => b - a)[0] ?? [];
  return { Q4_0: 'i4', Q8_0: 'i8', Q6_K: 'i8' }[most] ?? most.toLowerCase();
}

/** One pass over the bytes of the file that is made. */
class ConvertingReader implements RangeReader {
  readonly #file: SourceFile;
  readonly #head: Uint8Array;
  readonly #tensors: readonly Mapped[];
  readonly #end: number;
  #at: number;
  /** Bytes of the group that was converted last, and where they begin. */
  #group: OwnBytes = new Uint8Array(0);
  #begin = 0;
  /** A pass over the other file, and where it is. */
  #reader: RangeReader | undefined;
  #next = -1;

  constructor(file: SourceFile, head: Uint8Array, tensors: readonly Mapped[], begin: number, end: number) {
    this.#file = file;
    this.#head = head;
    this.#tensors = tensors;
    this.#at = begin;
    this.#end = end;
  }

  async fill(target: Uint8Array): Promise<void> {
    for (let filled = 0; filled < target.length; ) {
      const bytes = await this.#here();
      const part = bytes.subarray(0, target.length - filled);
      target.set(part, filled);
      filled += part.length;
      this.#at += part.length;
    }
  }

  /** Some bytes from here on. */
  async #here(): Promise<Uint8Array> {
    const head = this.#head.length;
    if (this.#at < head) return this.#head.subarray(this.#at);
    const inside = this.#at - this.#begin;
    if (!(inside >= 0 && inside < this.#group.length)) await this.#convert(this.#at - head);
    return this.#group.subarray(this.#at - this.#begin);
  }

  /** Converts the group that has this byte of the data. */
  async #convert(at: number): Promise<void> {
    const tensor = this.#tensors.find(({ begin, end }) => begin <= at && at < end);
    if (!tensor) throw new RangeError('gguf: a read behind the end');
    const { begin, end, rows, from, to, start } = tensor;
    const group = Math.floor((at - begin) / (rows * to));
    const count = Math.min(rows, (end - begin) / to - group * rows);
    const bytes = new Uint8Array(count * from);
    await this.#read(start + group * rows * from, bytes);
    this.#begin = this.#head.length + begin + group * rows * to;
    this.#group = tensor.paired ? apart(converted(tensor, bytes, count), to) : converted(tensor, bytes, count);
  }

  async #read(at: number, into: Uint8Array): Promise<void> {
    if (at !== this.#next || !this.#reader) {
      this.#reader?.close();
      this.#reader = this.#file.reader(at, this.#until(at));
    }
    await this.#reader.fill(into);
    this.#next = at + into.length;
  }

  /** Where a pass that begins there ends: with the last wanted tensor that follows without a large gap. */
  #until(at: number): number {
    const last = this.#end - this.#head.length;
    let until = at;
    for (const { start, begin, end, from, to } of this.#tensors) {
      const behind = start + ((end - begin) / to) * from;
      if (behind > at && begin < last && start <= until + GROUP) until = Math.max(until, behind);
    }
    return until;
  }

  close(): void {
    this.#reader?.close();
    this.#reader = undefined;
  }
}

function converted({ type, from, to }: Mapped, bytes: OwnBytes, rows: number): OwnBytes {
  if (!type.decode) return bytes;
  const numbers = new Float32Array((rows * to) / 4);
  type.decode(bytes, (rows * from) / type.bytes, numbers);
  return new Uint8Array(numbers.buffer);
}

/** The even rows, then the odd ones. */
function apart(bytes: OwnBytes, row: number): OwnBytes {
  const out = new Uint8Array(bytes.length);
  const half = bytes.length / row / 2;
  for (let n = 0; n < 2 * half; n++) out.set(bytes.subarray(n * row, (n + 1) * row), ((n >> 1) + (n & 1) * half) * row);
  return out;
}
