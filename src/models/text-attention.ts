// The attention of one text: over what it has in its caches, and over what it answers.

import { prepareAttention } from '../attention/attention.ts';
import type { CheckedOptions } from '../attention/options.ts';
import type { KVCache } from '../kvcache/kvcache.ts';
import { Scope } from '../memory/scope.ts';
import type { Tensor } from '../memory/tensor.ts';
import type { Call } from '../plan/context.ts';
import { KIT } from '../prepared/kit.ts';
import type { Program } from '../prepared/program.ts';
import { Repeat } from '../prepared/repeat.ts';
import { Step } from '../prepared/step.ts';
import type { Stage } from '../threads/types.ts';
import type { Attention } from './blueprint.ts';
import type { DecoderProgram } from './decoder.ts';
import type { Memory } from './decoder-memory.ts';
import type { RunEnd, Span } from './decoder-run.ts';
import type { AttentionProgram } from './layer-program.ts';
import type { Split } from './schemes.ts';

/** What is prepared for runs of one row: where that lies among those of other texts, and by layer its attention, and cross-attention. */
interface Place {
  readonly row: number;
  readonly scope: Scope;
  readonly steps: Program[];
  readonly crossSteps: Program[];
}

/** q, k, v and the result of some rows. */
type Views = Readonly<Record<'q' | 'k' | 'v' | 'out', Tensor>>;

export class TextAttention {
  readonly #decoder: DecoderProgram;
  readonly #caches: readonly KVCache[];
  readonly #memories: readonly (Memory | undefined)[];
  #place: Place | undefined;

  /** @param caches by layer, and so are the memories */
  constructor(decoder: DecoderProgram, caches: readonly KVCache[], memories: readonly (Memory | undefined)[]) {
    this.#decoder = decoder;
    this.#caches = caches;
    this.#memories = memories;
  }

  /** q, k and v of the rows, and where the result goes, as attention takes them. */
  #views(
    { heads: H, keyHeads: G, headWidth: D, valueWidth: E }: Attention,
    { first, rows }: Span,
  ): Record<'q' | 'k' | 'v' | 'out', Tensor> {
    const { workspace } = this.#decoder;
    const [qkv, at] = [workspace.tensor('qkv'), workspace.tensor('at')];
    const [n, m] = [qkv.strides[0] as number, at.strides[0] as number];
    const view = (heads: number, width: number, from: number): Tensor =>
      qkv.restride([1, rows, heads, width], [rows * n, n, width, 1], first * n + from);
    return {
      q: view(H, D, 0),
      k: view(G, D, H * D),
      v: view(G, E, (H + G) * D),
      out: at.restride([1, rows, H, E], [rows * m, m, E, 1], first * m),
    };
  }

  #options(attention: Attention, layer: number, out: Tensor): CheckedOptions {
    const { schemes, splits, where } = this.#decoder;
    const cache = this.#caches[layer] as KVCache;
    return schemes.options(where, attention, (splits[layer] as Split).others, { cache, out, layout: 'blhd' });
  }

  /** The stages from qkv to at, for these rows of a run. */
  attend(layer: number, { packed: { attention } }: AttentionProgram, span: Span, ends: RunEnd[]): readonly Stage[] {
    const { layers, where } = this.#decoder;
    const { context } = layers;
    const make = ({ q, k, v, out }: Views) => ({ operands: { q, k, v }, given: this.#options(attention, layer, out) });
    if (span.rows === 1) {
      const { steps, scope } = this.#placeOf(span);
      steps[layer] ??= this.#prepare(this.#views(attention, span), scope, (views) => {
        return new Step(where, { kit: KIT, context, ...make(views) }, false);
      });
      return begin(steps[layer] as Program, where, ends);
    }
    return this.#once(this.#views(attention, span), ends, (views) => {
      const { operands, given } = make(views);
      return prepareAttention(context, where, operands.q, operands.k, operands.v, given, false);
    });
  }

  /** The same over what is answered. */
  attendCross(layer: number, { packed: { attention } }: AttentionProgram, span: Span, ends: RunEnd[]): readonly Stage[] {
    const { layers, where, schemes } = this.#decoder;
    const { context } = layers;
    const { keys: k, values: v } = this.#memories[layer] as Memory;
    const encodings = attention.positions.map((position) => schemes.encoding(position));
    const given = (out: Tensor): CheckedOptions => schemes.options(where, attention, encodings, { out, layout: 'blhd' });
    if (span.rows === 1) {
      const { crossSteps, scope } = this.#placeOf(span);
      crossSteps[layer] ??= this.#prepare(this.#views(attention, span), scope, ({ q, out }) => {
        return new Repeat(where, { kit: KIT, context, operands: { q, k, v }, given: given(out) }, false);
      });
      return begin(crossSteps[layer] as Program, where, ends);
    }
    return this.#once(this.#views(attention, span), ends, ({ q, out }) => prepareAttention(context, where, q, k, v, given(out), false));
  }

  /** What is prepared for runs of one row, which is this one. */
  #placeOf({ first }: Span): Place {
    if (this.#place?.row !== first) {
      this.#place?.scope.release();
      this.#place = { row: first, scope: new Scope(this.#decoder.layers.context.arena), steps: [], crossSteps: [] };
    }
    return this.#place as Place;
  }

  /** A call that is made again and again, which keeps its views. */
  #prepare(views: Views, scope: Scope, make: (views: Views) => Program): Program {
    for (const view of Object.values(views)) scope.own(view);
    const program = make(views);
    scope.defer(() => program.release());
    return program;
  }

  /** The stages of a call that is made once. */
  #once(views: Views, ends: RunEnd[], make: (views: Views) => Call): readonly Stage[] {
    try {
      return stagesOf(make(views), ends);
    } finally {
      for (const view of Object.values(views)) view.dispose();
    }
  }

  release(): void {
    this.#place?.scope.release();
    this.#place = undefined;
  }
}

/** The stages of a prepared call's next run. */
function begin(program: Program, where: string, ends: RunEnd[]): readonly Stage[] {
  const { stages } = program.begin(where);
  ends.push(program);
  return stages;
}

/** The stages of a call that is made once. */
function stagesOf(call: Call, ends: RunEnd[]): readonly Stage[] {
  const release = (): void => call.release(false);
  const commit = (): void => {
    call.finish();
    release();
  };
  ends.push({ commit, fail: release });
  return [...call.preparations, call.job];
}
