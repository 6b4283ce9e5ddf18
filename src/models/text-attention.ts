// The attention of one text: over what it has in its caches, and over what it answers.

import { checkCall } from '../attention/check-call.ts';
import { type CheckedOptions, UNBOUNDED } from '../attention/options.ts';
import { prepareChecked, prepareOne } from '../attention/prepare.ts';
import { readsOf } from '../attention/reads.ts';
import { Scope } from '../memory/scope.ts';
import { makeTensor, type Tensor } from '../memory/tensor.ts';
import type { Call } from '../plan/context.ts';
import type { StepKit } from '../prepared/kit.ts';
import type { Program } from '../prepared/program.ts';
import { Step } from '../prepared/step.ts';
import { jobOf, memoryOf } from '../threads/job.ts';
import type { Stage } from '../threads/types.ts';
import type { Attention } from './blueprint.ts';
import type { DecoderProgram } from './decoder.ts';
import type { Memory, Views } from './decoder-memory.ts';
import type { Again, RunEnd, Span } from './decoder-run.ts';
import type { AttentionProgram } from './layer-program.ts';
import { asIn, type Split } from './schemes.ts';
import type { TextCache } from './text-cache.ts';

/** What is prepared for runs of one row: where that lies among those of other texts, and by layer its attention, and cross-attention. */
interface Place {
  readonly row: number;
  readonly scope: Scope;
  readonly steps: Program[];
  readonly crossSteps: Program[];
}

/** Without the code of packed sequences. */
const KIT: StepKit = { Scope, jobOf, memoryOf, checkCall, readsOf, prepareChecked, makeTensor, UNBOUNDED };

export class TextAttention {
  readonly #decoder: DecoderProgram;
  readonly #caches: readonly TextCache[];
  readonly #memories: readonly (Memory | undefined)[];
  #place: Place | undefined;

  /** @param caches by layer, and so are the memories */
  constructor(decoder: DecoderProgram, caches: readonly TextCache[], memories: readonly (Memory | undefined)[]) {
    this.#decoder = decoder;
    this.#caches = caches;
    this.#memories = memories;
  }

  /** q, k and v of the rows, and where the result goes, as attention takes them. */
  #views({ heads: H, keyHeads: G, headWidth: D, valueWidth: E }: Attention, { first, rows }: Span): Views {
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

  #options(attention: Attention, layer: number, out: Tensor, whole?: number): CheckedOptions {
    const { schemes, splits, where } = this.#decoder;
    const cache = this.#caches[layer] as TextCache;
    const { others } = splits[layer] as Split;
    return schemes.options(where, attention, whole ? asIn(others, whole) : others, { cache, out, layout: 'blhd' });
  }

  /** The stages from qkv to at, for these rows of a run. */
  attend(layer: number, { packed: { attention } }: AttentionProgram, span: Span, ends: RunEnd[]): readonly Stage[] {
    const { layers, where } = this.#decoder;
    const { context } = layers;
    const given = (out: Tensor): CheckedOptions => this.#options(attention, layer, out, span.whole);
    if (span.rows > 1) {
      return this.#once(this.#views(attention, span), ends, ({ q, k, v, out }) => prepareOne(context, where, q, k, v, given(out), false));
    }
    const { steps, scope } = this.#placeOf(span);
    steps[layer] ??= this.#prepare(this.#views(attention, span), scope, ({ q, k, v, out }) => {
      return new Step(where, { kit: KIT, context, operands: { q, k, v }, given: given(out) }, false);
    });
    return begin(steps[layer] as Program, where, ends);
  }

  /** The same over what is answered. */
  attendCross(layer: number, { packed: { attention } }: AttentionProgram, span: Span, ends: RunEnd[]): readonly Stage[] {
    const memory = this.#memories[layer] as Memory;
    if (span.rows > 1) return this.#once(this.#views(attention, span), ends, (views) => memory.call(this.#decoder, views));
    const { crossSteps, scope } = this.#placeOf(span);
    crossSteps[layer] ??= this.#prepare(this.#views(attention, span), scope, (views) => memory.program(this.#decoder, views));
    return begin(crossSteps[layer] as Program, this.#decoder.where, ends);
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
  const again: Again = { program, stages, commit: () => program.commit(), fail: () => program.fail() };
  ends.push(again);
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
