// The rows that the layers of a stack work on, as many as a run has at most.

import { makeTensor, type Tensor } from '../memory/tensor.ts';
import type { Context } from '../plan/context.ts';
import type { Output, Stage } from '../threads/types.ts';
import type { Buffers } from './layer-program.ts';
import type { Widths } from './packed-stack.ts';
import type { Rows } from './rows.ts';

const NAMES = ['x', 'z', 'y', 'qkv', 'at', 'f', 'e'] as const;
type Name = (typeof NAMES)[number];

/** Numbers that are known of every row: token, position, segment. */
const IDS = 3;

/** The stages of a run, of which the first names all that they write. */
export function writing(stages: readonly Stage[], outputs: readonly Output[]): readonly Stage[] {
  const [first, ...rest] = stages;
  return first ? [{ ...first, outputs: [...(first.outputs ?? []), ...outputs] }, ...rest] : [];
}

export class Workspace {
  readonly #context: Context;
  readonly #where: string;
  readonly #widths: Readonly<Record<Name, number>>;
  #tensors: Readonly<Record<Name, Tensor>> | undefined;
  #ids: Tensor | undefined;
  #rows = 0;

  constructor(context: Context, where: string, { stream, projected, attended, inner, kept }: Widths) {
    this.#context = context;
    this.#where = where;
    this.#widths = { x: stream, z: stream, y: stream, qkv: projected, at: attended, f: inner, e: kept };
  }

  /** Bytes for so many rows. */
  bytesOf(rows: number): number {
    return 4 * rows * (IDS + NAMES.reduce((sum, name) => sum + this.#widths[name], 0));
  }

  /** Makes room for so many rows; what they held is lost if there was less. @throws RelposError `out-of-memory` */
  reserve(rows: number): void {
    if (rows <= this.#rows) return;
    this.dispose();
    const made: Partial<Record<Name, Tensor>> = {};
    try {
      for (const name of NAMES) made[name] = makeTensor(this.#context, this.#where, [rows, this.#widths[name]]);
      this.#ids = makeTensor(this.#context, this.#where, [IDS, rows], undefined, 'i32');
    } catch (error) {
      for (const tensor of Object.values(made)) tensor.dispose();
      throw error;
    }
    this.#tensors = made as Record<Name, Tensor>;
    this.#rows = rows;
  }

  /** What a run writes that the next one writes too: a worker that was lost in between must not. */
  get outputs(): readonly Output[] {
    return [...Object.values(this.#tensors as Record<Name, Tensor>), this.#ids as Tensor];
  }

  tensor(name: Name): Tensor {
    return (this.#tensors as Record<Name, Tensor>)[name];
  }

  rows(name: Name): Rows {
    return { at: this.tensor(name).pointer, stride: 4 * this.#widths[name] };
  }

  get buffers(): Buffers {
    return Object.fromEntries(NAMES.map((name) => [name, this.rows(name)])) as unknown as Buffers;
  }

  /** Writes one list of numbers of the rows; returns where it lies. */
  putIds(list: 0 | 1 | 2, numbers: ArrayLike<number>): number {
    const ids = this.#ids as Tensor;
    const at = ids.pointer + 4 * list * this.#rows;
    this.#context.arena.words.set(numbers, at / 4);
    return at;
  }

  /** Writes the number of a single row. */
  putId(list: 0 | 1 | 2, number: number): void {
    this.#context.arena.words[(this.#ids as Tensor).pointer / 4 + list * this.#rows] = number;
  }

  dispose(): void {
    for (const name of NAMES) this.#tensors?.[name].dispose();
    this.#ids?.dispose();
    this.#tensors = undefined;
    this.#ids = undefined;
    this.#rows = 0;
  }
}
