// Where the engine is asked for single parts of a score: a plan of one part alone, a q or k of zeros, a mask that shows one key.

import { type AttentionOptions, defineEncoding, defineMask, type Encoding, type Engine, type Mask, type Plan, type Tensor } from 'relpos';
import { defined } from './defined.ts';
import type { Problem } from './types.ts';

type MutablePlan = { -readonly [part in keyof Plan]: Plan[part] };

/** Several plans as one; where only one can have a part, the engine itself refuses two. */
function together(plans: readonly Plan[]): Plan {
  const whole: MutablePlan = {};
  for (const plan of plans) {
    for (const [part, value] of Object.entries(plan)) {
      const found = (whole as Record<string, unknown>)[part];
      Object.assign(whole, { [part]: Array.isArray(found) && Array.isArray(value) ? [...found, ...value] : value });
    }
  }
  return whole;
}

/** An encoding that is this part of a plan and nothing else. */
export const only = (plan: Plan): Encoding => defineEncoding({ name: 'part', lower: () => plan });

/** The keys from `first` to before `end` are seen, the others hidden. */
export const showing = (first: number, end: number): Mask => defineMask({ name: 'shown keys', intervals: () => [[first, end]] });

/** Other q and k than the problem's, and other options than none. */
interface Asked {
  readonly q?: Tensor;
  readonly k?: Tensor;
  readonly scale?: number;
  readonly softcap?: number;
}

/** A problem in the engine's memory. `dispose` gives all of it back. */
export class Stage {
  readonly engine: Engine;
  readonly problem: Problem;
  /** What the schemes lower to in this call, without what they add to v. */
  readonly plan: Plan;
  readonly q: Tensor;
  readonly k: Tensor;
  readonly noQ: Tensor;
  readonly noK: Tensor;
  readonly #v: Tensor;
  readonly #tensors: Tensor[] = [];

  constructor(engine: Engine, problem: Problem) {
    this.engine = engine;
    this.problem = problem;
    const { H, G, L, S, D, q, k } = problem;
    try {
      this.q = this.hold(engine.tensor([1, H, L, D], q));
      this.k = this.hold(engine.tensor([1, G, S, D], k));
      this.noQ = this.hold(engine.tensor([1, H, L, D]));
      this.noK = this.hold(engine.tensor([1, G, S, D]));
      this.#v = this.hold(engine.tensor([1, G, S, D]));
      this.plan = this.#lower();
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /** A tensor that is given back with the others. */
  hold(tensor: Tensor): Tensor {
    this.#tensors.push(tensor);
    return tensor;
  }

  dispose(): void {
    for (const tensor of this.#tensors.splice(0)) tensor.dispose();
    this.engine.releaseTables();
  }

  /** The options of the whole call. */
  get options(): AttentionOptions {
    const { scale, softcap, causal, window, sinks } = this.problem.options;
    return { encoding: this.problem.encodings, ...defined({ scale, softcap, causal, window, sinks }) };
  }

  /** Overhears what the schemes lower to in the call itself. */
  #lower(): Plan {
    const { encodings } = this.problem;
    let plans: Plan[] = [];
    const overhearing = defineEncoding({
      name: 'overhearing',
      lower: (context) => {
        plans = encodings.map((encoding) => encoding.lower(context));
        return {};
      },
    });
    this.partial({ encoding: overhearing });
    const { valueTable: _, ...plan } = together(plans);
    return plan;
  }

  /** `attentionPartial` over the problem's tensors; the log-sum-exp of each row, [H, L]. */
  partial(options: AttentionOptions, q: Tensor = this.q, k: Tensor = this.k): Float32Array {
    const { out, lse } = this.engine.attentionPartialSync(q, k, this.#v, options);
    const numbers = lse.toArray() as Float32Array;
    out.dispose();
    lse.dispose();
    return numbers;
  }

  /**
   * The scores of key j with all queries of all heads, [H, L], as this part of the plan makes them, before any mask: the log-sum-exp over a
   * single key is its score.
   */
  column(part: Plan, j: number, { q, k, scale, softcap }: Asked = {}): Float32Array {
    return this.partial({ encoding: only(part), mask: showing(j, j + 1), ...defined({ scale, softcap }) }, q, k);
  }

  /** One number of a column: query i of the head that is looked at. */
  cell(part: Plan, { i, j }: { readonly i: number; readonly j: number }, asked: Asked = {}): number {
    const { head, L } = this.problem;
    return this.column(part, j, asked)[head * L + i] as number;
  }

  /** The probabilities of all queries and keys of the head, [L, S]. */
  weights(options: AttentionOptions): Float32Array {
    const { head, L, S } = this.problem;
    const weights = this.engine.attentionWeightsSync(this.q, this.k, options);
    const all = weights.toArray() as Float32Array;
    weights.dispose();
    return all.slice(head * L * S, (head + 1) * L * S);
  }
}
