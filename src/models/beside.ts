// What some encoders' layers have beside attention and MLP: a convolution along the text (DeBERTa v2), keys of blocks (LongT5). Loaded with such a
// model.

import type { AttentionOptions } from '../attention/options.ts';
import type { Mask } from '../masks/mask.ts';
import { Scope } from '../memory/scope.ts';
import type { LayerContext } from '../nn/context.ts';
import type { LinearStage } from '../nn/linear-stage.ts';
import { type MapStage, type NormStage, PoolStage } from '../nn/row-stages.ts';
import type { Stage } from '../threads/types.ts';
import type { Attention, BlockKeys } from './blueprint.ts';
import type { Beside, Buffers } from './layer-program.ts';
import type { PackedConvolution, PackedLayer, PackedStack } from './packed-stack.ts';
import { makeLinear, makeMap, makeNorm, mapped, normed, type PackedNorm, type Rows, through } from './rows.ts';

const behind = ({ at, stride }: Rows, rows: number): Rows => ({ at: at + rows * stride, stride });

/** e ← Σ taps of x; then x ← post(x + act(e)). The middle tap takes all rows at once, the others those of each text that have such a neighbour. */
class ConvolutionProgram {
  readonly #layers: LayerContext;
  /** That of the stages for texts. */
  readonly #scope: Scope;
  readonly #packed: PackedConvolution;
  /** By tap, a stage for each text of a run: a stage occurs once in a job. */
  #stages: readonly LinearStage[][] = [];
  readonly #add: MapStage;
  readonly #post: NormStage;

  constructor(layers: LayerContext, scope: Scope, packed: PackedConvolution) {
    const { convolution, post } = packed;
    this.#layers = layers;
    this.#scope = new Scope(layers.context.arena);
    this.#packed = packed;
    this.drop();
    scope.defer(() => this.drop());
    this.#add = makeMap(layers, scope, post.width, { activation: convolution.activation, with: 'add' });
    this.#post = makeNorm(layers, scope, post);
  }

  drop(): void {
    this.#stages = this.#packed.taps.map(() => []);
    this.#scope.release();
  }

  #stage(tap: number, text: number): LinearStage {
    const stages = this.#stages[tap] as LinearStage[];
    stages[text] ??= makeLinear(this.#layers, this.#scope, this.#packed.taps[tap] as PackedConvolution['taps'][number]);
    return stages[text];
  }

  before(offsets: readonly number[], { x, e }: Buffers): Stage[] {
    const { length } = this.#packed.taps;
    const middle = (length - 1) / 2;
    const stages = [through(this.#stage(middle, 0), offsets.at(-1) as number, x, e)];
    for (let tap = 0; tap < length; tap++) {
      const away = tap - middle;
      for (let text = 0; away !== 0 && text + 1 < offsets.length; text++) {
        const [start, end] = [offsets[text] as number, offsets[text + 1] as number];
        const rows = end - start - Math.abs(away);
        if (rows <= 0) continue;
        const to = behind(e, start + Math.max(0, -away));
        stages.push(through(this.#stage(tap, text), rows, behind(x, start + Math.max(0, away)), to, to));
      }
    }
    return stages;
  }

  after(rows: number, { x, y, e }: Buffers): Stage[] {
    return [mapped(this.#add, rows, e, y, x), normed(this.#post, rows, y, x)];
  }
}

/** Rows of z behind those of the tokens: sums of blocks, normed. */
class BlockProgram {
  readonly #size: number;
  readonly #sum: PoolStage;
  readonly #norm: NormStage;

  constructor(layers: LayerContext, scope: Scope, { size }: BlockKeys, norm: PackedNorm) {
    this.#size = size;
    this.#sum = new PoolStage(layers.context, scope, { kind: 'sum', width: norm.width });
    this.#norm = makeNorm(layers, scope, norm);
  }

  keys(tokens: number): number {
    return Math.floor(tokens / this.#size);
  }

  /** @param starts where blocks begin, and the end of the last */
  stages(tokens: number, starts: number, z: Rows): Stage[] {
    const blocks = this.keys(tokens);
    const to = behind(z, tokens);
    const sums = this.#sum.stage({ texts: blocks, rows: tokens, x: z.at, xRow: z.stride, starts, out: to.at, outRow: to.stride });
    return [sums, normed(this.#norm, blocks, to, to)];
  }
}

interface LayerPrograms {
  readonly convolution: ConvolutionProgram | undefined;
  readonly blocks: BlockProgram | undefined;
}

export class BesideProgram {
  /** Whether texts run one by one. */
  readonly apart: boolean;
  readonly #layers: LayerContext;
  /** Tokens of a block: one number for all layers. */
  readonly #size: number;
  readonly #programs: readonly LayerPrograms[];
  /** Where the blocks of the last run begin. */
  #starts: { readonly scope: Scope; readonly tokens: number; readonly at: number } | undefined;

  constructor(layers: LayerContext, scope: Scope, packed: PackedStack) {
    this.#layers = layers;
    this.#size = Math.max(0, ...packed.stack.layers.map(({ attention }) => attention.blocks?.size ?? 0));
    this.apart = this.#size > 0;
    this.#programs = packed.layers.map(({ layer: { attention }, beside, attention: { blockNorm } }: PackedLayer) => ({
      convolution: beside && new ConvolutionProgram(layers, scope, beside),
      blocks: attention.blocks && new BlockProgram(layers, scope, attention.blocks, blockNorm as PackedNorm),
    }));
    scope.defer(() => this.drop());
  }

  /** Gives back what a run left, until the next one. */
  drop(): void {
    for (const { convolution } of this.#programs) convolution?.drop();
    this.#starts?.scope.release();
    this.#starts = undefined;
  }

  /** What each layer of a run has. @param offsets rows of text n are offsets[n] … offsets[n + 1] − 1 */
  run(offsets: readonly number[], buffers: Buffers): (layer: number) => Beside {
    const tokens = offsets.at(-1) as number;
    return (layer) => {
      const { convolution, blocks } = this.#programs[layer] as LayerPrograms;
      const keys = blocks?.keys(tokens) ?? 0;
      return {
        before: convolution?.before(offsets, buffers) ?? [],
        after: convolution?.after(tokens, buffers) ?? [],
        keys,
        makeKeys: blocks && keys ? blocks.stages(tokens, this.#startsOf(tokens), buffers.z) : [],
      };
    };
  }

  /** What attention is told beside its scheme, with as many keys more; undefined if it has no keys of blocks. */
  attend(attention: Attention, tokens: number): (AttentionOptions & { readonly keys: number }) | undefined {
    const { blocks, window: { left = tokens, right = tokens } = {} } = attention;
    if (!blocks) return undefined;
    const keys = Math.floor(tokens / blocks.size);
    const mask: Mask = {
      name: 'window and blocks',
      rows: () => ({
        batched: false,
        runs({ index }) {
          const [from, to, end] = [Math.max(0, index - left), Math.min(index + right + 1, tokens), tokens + keys];
          // Runs that touch are one, and none is empty.
          return to === tokens ? [from, end] : keys ? [from, to, tokens, end] : [from, to];
        },
      }),
    };
    return { keys, queryOffsets: [0, tokens], keyOffsets: [0, tokens + keys], mask, window: {} };
  }

  #startsOf(tokens: number): number {
    if (this.#starts?.tokens !== tokens) {
      this.#starts?.scope.release();
      this.#starts = undefined;
      const scope = new Scope(this.#layers.context.arena);
      const blocks = Math.floor(tokens / this.#size);
      const starts = Int32Array.from({ length: blocks + 1 }, (_, n) => (n < blocks ? n * this.#size : tokens));
      this.#starts = { scope, tokens, at: scope.upload(starts) };
    }
    return this.#starts?.at as number;
  }
}
