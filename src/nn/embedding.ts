import { finite, shapeText, wrongValue } from '../arguments/check.ts';
import { copyIntegers, copyLogits, type Integers, type Numbers } from '../arguments/lists.ts';
import { shapeOf } from '../arguments/numbers.ts';
import { type Readers, readRecord } from '../arguments/record.ts';
import { DTYPES } from '../memory/dtypes.ts';
import { readFloatFile } from '../memory/operands.ts';
import { makeTensor, Tensor, type TensorLike } from '../memory/tensor.ts';
import type { Signal } from '../platform/types.ts';
import { type LayerCall, type LayerContext, runLayer, runLayerSync } from './context.ts';
import { anything, callOf, expectApart, forbidSignal, Layer, signalReader } from './layer.ts';
import { EmbedStage, type EmbedTable } from './row-stages.ts';
import { readOut, rowsOf } from './rows.ts';

/** Options of `embedding`. */
export interface EmbeddingOptions {
  /** [V, n]: f32, f16, bf16, or i8 with `scales`. A tensor of the engine is kept, not copied. */
  readonly table: TensorLike;
  /** [V]: what each row of a table of i8 is multiplied by. */
  readonly scales?: Numbers;
  /** Multiplies the rows of the table; default 1. */
  readonly scale?: number;
  /** [types, n]: rows that are added by type; f32, f16 or bf16. Default none. */
  readonly types?: TensorLike;
  /** [P, n]: rows that are added by position; likewise. Default none. */
  readonly positions?: TensorLike;
}

/** Options of a call of `Embedding`. */
export interface EmbeddingRunOptions {
  /** As many as ids; default all 0. */
  readonly types?: Integers;
  /** As many as ids, or the position of the first, from which they go on; default 0. */
  readonly positions?: Integers | number;
  /** Written instead of a new tensor: f32 [N, n], or [..., n] where the ids are a tensor. */
  readonly out?: Tensor;
  /** Stops the call; an `out` of yours then holds what was done of it. */
  readonly signal?: Signal;
}

const READERS: Readers<EmbeddingOptions> = {
  table: anything,
  scales: anything,
  scale: (where, name, value) => finite(where, name, value),
  types: anything,
  positions: anything,
};

const RUN_READERS: Readers<EmbeddingRunOptions> = { types: anything, positions: anything, out: anything, signal: signalReader };

/**
 * Rows of a table by number: out[i] = scale · table[ids[i]] + types[typeIds[i]] + positions[positionIds[i]], added in this order. Made by `embedding`
 * of `createLayers`; owned by the caller, who ends it with `dispose()` or `using`.
 */
export class Embedding extends Layer {
  /** n: numbers of a row. */
  readonly width: number;
  readonly #scale: number;
  readonly #table: Tensor;
  readonly #scales: Tensor | undefined;
  readonly #types: Tensor | undefined;
  readonly #positions: Tensor | undefined;

  /** @internal */
  constructor(where: string, options: unknown, layers: LayerContext) {
    super(layers);
    const given = readRecord<EmbeddingOptions>(where, options, READERS);
    const tables = [
      this.#check(where, 'table', given.table, undefined, given.scales !== undefined),
      ...(['types', 'positions'] as const).map((name) => given[name] && this.#check(where, name, given[name], given.table.shape[1], false)),
    ];
    const { scales } = given;
    const numbers = scales === undefined ? undefined : copyLogits(where, 'scales', scales).values;
    const [rows] = given.table.shape as [number];
    if (numbers && numbers.length !== rows) throw wrongValue(where, 'scales', `shape ${shapeText([rows])}`, shapeText([numbers.length]));
    this.#scale = given.scale ?? 1;
    this.width = given.table.shape[1] as number;
    try {
      const [table, types, positions] = tables.map((keep) => keep?.());
      this.#table = table as Tensor;
      this.#types = types;
      this.#positions = positions;
      this.#scales = numbers && this.hold(makeTensor(layers.context, where, [rows], numbers));
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /** Checks a table; what is returned keeps it: a tensor as it is, one of a file as a copy. */
  #check(where: string, name: string, value: unknown, width: number | undefined, integers: boolean): () => Tensor {
    const { context } = this.layers;
    const file = value instanceof Tensor ? undefined : readFloatFile(where, name, value);
    if (!file && !(value instanceof Tensor)) throw new TypeError(`${where}: "${name}" expected a tensor`);
    const { shape, dtype } = file ?? (value as Tensor);
    const expected = integers ? 'i8' : 'f32, f16 or bf16';
    if (integers ? dtype !== 'i8' : !DTYPES[dtype].float)
      throw new TypeError(`${where}: "${name}" expected a tensor of ${expected}, got ${dtype}`);
    const [rows = 0, n = 0] = shape;
    if (shape.length !== 2 || rows < 1 || n < 1 || (width !== undefined && n !== width)) {
      throw wrongValue(where, name, `shape ${shapeText(['rows ≥ 1', width ?? 'n ≥ 1'])}`, shapeText(shape));
    }
    if (file) return () => this.hold(makeTensor(context, where, shape, file.file, dtype));
    const tensor = value as Tensor;
    if (tensor.context.kernels !== context.kernels) throw wrongValue(where, name, 'a tensor of this engine', 'one of another engine');
    if (n !== 1 && tensor.strides[1] !== 1)
      throw wrongValue(where, name, 'rows whose numbers lie side by side', `strides ${shapeText(tensor.strides)}`);
    void tensor.pointer; // throws if it was disposed
    return () => this.hold(tensor.slice());
  }

  /**
   * @param ids rows of the table, in 0 … V − 1: a list [N], or a tensor of i32 of any shape
   * @returns f32 [N, n], or [..., n]
   * @throws TypeError, RangeError if an argument is wrong; nothing is changed then
   * @throws RelposError `out-of-memory`, `disposed`, `kernel-trap`; the signal's reason if it is aborted
   */
  async run(ids: Integers, options: EmbeddingRunOptions = {}): Promise<Tensor> {
    const checked = readRecord<EmbeddingRunOptions>('run', options, RUN_READERS);
    return runLayer(this.layers, this.#call('run', ids, checked), checked);
  }

  /** `run` before returning. @throws as `run` */
  runSync(ids: Integers, options: Omit<EmbeddingRunOptions, 'signal'> = {}): Tensor {
    const checked = readRecord<EmbeddingRunOptions>('runSync', options, RUN_READERS);
    forbidSignal('runSync', checked);
    return runLayerSync(this.layers, this.#call('runSync', ids, checked));
  }

  #call(where: string, ids: Integers, { types, positions = 0, out: given }: EmbeddingRunOptions): LayerCall {
    this.alive();
    const { context } = this.layers;
    const tokens = copyIntegers(where, 'ids', ids, 0, (this.#table.shape[0] as number) - 1);
    const rows = tokens.length;
    const shape = [...(shapeOf(tokens) ?? [rows]), this.width];
    const listed = (name: string, value: unknown, table: Tensor): Int32Array => {
      const list = copyIntegers(where, name, value, 0, (table.shape[0] as number) - 1);
      if (list.length !== rows) throw wrongValue(where, name, `${rows} integers, as there are ids`, `${list.length}`);
      return list;
    };
    if (types !== undefined && !this.#types) throw new TypeError(`${where}: "types" needs an embedding with types`);
    const kinds = this.#types && (types === undefined ? new Int32Array(rows) : listed('types', types, this.#types));
    const places = this.#placesOf(where, positions, rows, listed);
    const out = given === undefined ? undefined : readOut(where, given, shape, context);
    if (out) {
      const tables = [
        ['table', this.#table],
        ['types', this.#types],
        ['positions', this.#positions],
      ] as const;
      expectApart(
        where,
        'out',
        out,
        tables.flatMap(([name, tensor]) => (tensor ? [[name, tensor] as const] : [])),
      );
    }
    return callOf(this.layers, { where, shape }, out, (scope, target) => {
      if (!rows) return [];
      const tables = [this.#table, this.#types, this.#positions].filter((table) => table !== undefined).map(tableOf);
      if (this.#scales) tables[0] = { ...(tables[0] as EmbedTable), scales: this.#scales.pointer };
      const stage = new EmbedStage(context, scope, { width: this.width, scale: this.#scale, tables });
      const all = [tokens, kinds, places].filter((list) => list !== undefined);
      const at = all.map((list) => (list instanceof Int32Array ? scope.upload(list) : list));
      this.pinAll(scope);
      return [stage.stage({ rows, out: target.pointer, outRow: rowsOf(where, 'out', target).stride, ids: at, outputs: [target] })];
    });
  }

  /** Positions as a list, or the first of them. */
  #placesOf(where: string, given: Integers | number, rows: number, listed: (name: string, value: unknown, table: Tensor) => Int32Array) {
    const table = this.#positions;
    if (!table) {
      if (given !== 0) throw new TypeError(`${where}: "positions" needs an embedding with positions`);
      return undefined;
    }
    if (typeof given !== 'number') return listed('positions', given, table);
    const most = (table.shape[0] as number) - rows;
    if (!Number.isInteger(given) || given < 0 || given > most) {
      const room = `${table.shape[0]} positions for ${rows} rows`;
      throw wrongValue(where, 'positions', most < 0 ? `at most ${table.shape[0]} rows` : `an integer in 0 … ${most}`, given, room);
    }
    return { first: given };
  }
}

/** A table as the kernel reads it. */
const tableOf = (tensor: Tensor): EmbedTable => ({
  pointer: tensor.pointer,
  type: tensor.dtype,
  row: (tensor.strides[0] as number) * DTYPES[tensor.dtype].bytes,
});
