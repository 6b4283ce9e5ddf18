// Names of a checkpoint's tensors: which prefix they have, what must be there, of which shape.

import { shapeText } from '../arguments/check.ts';
import type { HeadNorm, Linear, Norm, Part, Rows, Weight, Zeros } from './blueprint.ts';

/** What is known of a checkpoint's tensors before any is read. */
export type TensorIndex = ReadonlyMap<string, { readonly shape: readonly number[] }>;

/** How a linear layer stands in the checkpoint. */
export interface LinearForm {
  /** True: it must be there; `'found'`: if it is. Default false. */
  readonly bias?: boolean | 'found';
  readonly transposed?: boolean;
  /** Rows of both, of `total` that the tensor has. */
  readonly rows?: Rows;
  readonly total?: number;
  /** Names of the tensors behind the layer's; default `weight` and `bias`, '' for the name itself. */
  readonly names?: readonly [string, string];
  /** Shape in the file, if it has more dimensions than two. */
  readonly stored?: readonly number[];
}

/** Old checkpoints call a norm's weight and bias so. */
const OLDER: Readonly<Record<string, string>> = { weight: 'gamma', bias: 'beta' };

const isThere = (said: boolean | 'found', found: boolean): boolean => (said === 'found' ? found : said);
const product = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Tensors below a common prefix. */
export class Tensors {
  readonly index: TensorIndex;
  readonly prefix: string;

  constructor(index: TensorIndex, prefix = '') {
    this.index = index;
    this.prefix = prefix;
  }

  /** Those below `name.`; under '' the same. */
  at(name: string): Tensors {
    return name ? new Tensors(this.index, `${this.prefix}${name}.`) : this;
  }

  has(name: string): boolean {
    return this.index.has(this.prefix + name);
  }

  /** Those below whichever of the prefixes has a tensor of this name. @throws TypeError if none has */
  under(prefixes: readonly string[], probe: string): Tensors {
    const found = prefixes.find((prefix) => this.index.has(`${prefix}${probe}`));
    if (found !== undefined) return new Tensors(this.index, found);
    throw this.missing(probe, prefixes);
  }

  private missing(name: string, prefixes: readonly string[] = [this.prefix]): TypeError {
    const names = prefixes.map((prefix) => JSON.stringify(prefix + name)).join(' or ');
    const last = name.split('.').slice(-2).join('.');
    const near = [...this.index.keys()].filter((key) => key.endsWith(last)).slice(0, 3);
    const hint = near.length ? `; it has ${near.join(', ')}${near.length === 3 ? ' …' : ''}` : '';
    return new TypeError(`checkpoint: no tensor ${names}${hint}`);
  }

  /** What is taken of a tensor. @throws TypeError if there is none, RangeError if it has another shape */
  part(name: string, shape: readonly number[], form: { transposed?: boolean | undefined; rows?: Rows | undefined } = {}): Part {
    const tensor = this.prefix + name;
    const found = this.index.get(tensor);
    if (!found) throw this.missing(name);
    if (found.shape.length !== shape.length || found.shape.some((size, n) => size !== shape[n])) {
      throw new RangeError(`checkpoint: "${tensor}" expected shape ${shapeText(shape)}, got ${shapeText(found.shape)}`);
    }
    return { tensor, shape, ...(form.transposed && { transposed: true }), ...(form.rows && { rows: form.rows }) };
  }

  /** A whole tensor in order: of this shape, or of `stored` in the checkpoint, which has more axes of one place. */
  tensor(name: string, shape: readonly number[], stored: readonly number[] = shape): Weight {
    // Its rows are those of the shape that it is read in.
    return { shape, parts: [{ ...this.part(name, stored), shape }] };
  }

  linear(name: string, input: number, output: number, form: LinearForm = {}): Linear {
    const { rows, transposed, total = output } = form;
    const [weightName, biasName] = (form.names ?? ['weight', 'bias']).map((last) => [name, last].filter(Boolean).join('.')) as [
      string,
      string,
    ];
    const stored = form.stored ?? (transposed ? [input, total] : [total, input]);
    const weight = { shape: [output, input], parts: [this.part(weightName, stored, { transposed, rows })] };
    const biased = isThere(form.bias ?? false, this.has(biasName));
    if (!biased) return { weight };
    return { weight, bias: { shape: [output], parts: [this.part(biasName, [total], { rows })] } };
  }

  /** Layers whose rows lie one after another in the tensors of one: `outputs` are their numbers of rows. */
  split<const N extends readonly number[]>(name: string, input: number, outputs: N, form: LinearForm = {}): { [K in keyof N]: Linear } {
    const total = outputs.reduce((sum, count) => sum + count, 0);
    let first = 0;
    const parts = outputs.map((count) => {
      const part = this.linear(name, input, count, { ...form, rows: { first, count }, total });
      first += count;
      return part;
    });
    return parts as { [K in keyof N]: Linear };
  }

  /** LayerNorm with weight, and with bias unless told otherwise. */
  layerNorm(name: string, width: number, epsilon: number, bias: boolean | 'found' = true): Norm {
    const of = (last: string): Weight => {
      const older = `${name}.${OLDER[last]}`;
      return this.tensor(this.has(older) && !this.has(`${name}.${last}`) ? older : `${name}.${last}`, [width]);
    };
    const biased = isThere(bias, this.has(`${name}.bias`) || this.has(`${name}.beta`));
    return { kind: 'layer', epsilon, weight: of('weight'), ...(biased && { bias: of('bias') }) };
  }

  rmsNorm(name: string, width: number, epsilon: number, offset = 0): Norm {
    return { kind: 'rms', epsilon, weight: this.tensor(`${name}.weight`, [width]), ...(offset && { offset }) };
  }

  /** Norm of q or k, of every head by itself. */
  headNorm(name: string, width: number, epsilon: number, offset = 0): HeadNorm {
    return { ...this.rmsNorm(name, width, epsilon, offset), over: 'head' };
  }
}

/** The rows of several weights, one after another. */
export function stacked(weights: readonly Weight[]): Weight {
  const [first] = weights as readonly [Weight];
  const rows = weights.reduce((sum, { shape }) => sum + (shape[0] as number), 0);
  return { shape: [rows, ...first.shape.slice(1)], parts: weights.flatMap(({ parts }) => parts) };
}

/** Layers that read the same rows as one whose outputs stand side by side; zeros where one has no bias. */
export function fused(layers: readonly Linear[]): Linear {
  const weight = stacked(layers.map((layer) => layer.weight));
  if (layers.every(({ bias }) => bias === undefined)) return { weight };
  const none = (layer: Linear): Weight => ({ shape: [outputs(layer)], parts: [{ zeros: outputs(layer) }] });
  return { weight, bias: stacked(layers.map((layer) => layer.bias ?? none(layer))) };
}

/** Width of what a layer gives. */
export const outputs = ({ weight }: Linear): number => weight.shape[0] as number;
/** Width of what a layer reads. */
export const inputs = ({ weight }: Linear): number => weight.shape[1] as number;

/** Numbers in a weight. */
export const sizeOf = ({ shape }: Weight): number => product(shape);

/** True for rows of zeros. */
export const isZeros = (part: Part | Zeros): part is Zeros => 'zeros' in part;

/** The rows that a part takes of its matrix [out, in], or of its vector, as runs. */
export function runsOf({ rows, shape, transposed }: Part, vector: boolean): readonly { readonly first: number; readonly count: number }[] {
  const all = vector ? product(shape) : ((transposed ? product(shape.slice(1)) : shape[0]) as number);
  const { first, count, times = 1, step = count } = rows ?? { first: 0, count: all };
  return Array.from({ length: times }, (_, n) => ({ first: first + n * step, count }));
}
