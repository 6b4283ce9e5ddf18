import type { ComponentChildren } from 'preact';
import { four } from './numbers.ts';
import type { Explanation } from './types.ts';

/** The parts of the formula; each has a step that explains it. */
export type PartName =
  | 'score'
  | 'softcap'
  | 'scale'
  | 'content'
  | 'contentBias'
  | 'queryTerms'
  | 'keyTerms'
  | 'context'
  | 'factors'
  | 'biases'
  | 'mask'
  | 'exp'
  | 'sum'
  | 'probability';

/** Which part is looked at, and how that changes. */
export interface Light {
  readonly lit: PartName | undefined;
  readonly light: (part: PartName | undefined) => void;
  readonly go: (part: PartName) => void;
}

interface PartProps extends Light {
  readonly name: PartName;
  /** What its number is called for those who hear the page. */
  readonly title: string;
  /** Undefined: this scheme has no such part. */
  readonly value: string | undefined;
  readonly children: ComponentChildren;
}

/** A part of the formula over its number; pressed, its step comes into view. */
function Part({ name, title, value, children, lit, light, go }: PartProps) {
  if (value === undefined) {
    return (
      <span class="part absent" title={`${title}: this call has none`}>
        <span class="symbol">{children}</span>
        <span class="number">–</span>
      </span>
    );
  }
  return (
    <button
      type="button"
      class={`part of-${name}${lit === name ? ' lit' : ''}`}
      onClick={() => go(name)}
      onPointerEnter={() => light(name)}
      onPointerLeave={() => light(undefined)}
      onFocus={() => light(name)}
      onBlur={() => light(undefined)}
    >
      <span class="unseen">{title} </span>
      <span class="symbol">{children}</span> <span class="number">{value}</span>
    </button>
  );
}

const total = (list: readonly { readonly value: number }[]): number | undefined =>
  list.length ? list.reduce((a, { value }) => a + value, 0) : undefined;

const shown = (x: number | undefined): string | undefined => (x === undefined ? undefined : four(x));

const Op = ({ children }: { children: ComponentChildren }) => <span class="op">{children}</span>;

/** Probabilities smaller than exp(−87) are 0 in f32: of the score no more is known then. */
export const scoreWords = ({ parts, softmax }: Explanation): string =>
  Number.isNaN(parts.score) ? `< ${four(softmax.lse - 87)}` : four(parts.score);

/** s(i, j) = … with the numbers of a cell below the letters. */
export function ScoreFormula({ cell, ...light }: { cell: Explanation } & Light) {
  const { parts, hiddenBy } = cell;
  const factor = parts.factors.length ? parts.factors.reduce((a, x) => a * x, 1) : undefined;
  const ofKind = (kind: 'query' | 'key') => total(parts.terms.filter((term) => term.kind === kind));
  const hidden = hiddenBy.length > 0;
  return (
    <section class="formula" aria-label="The score's formula, with its numbers">
      <Part name="score" title="score" value={hidden ? '−∞' : scoreWords(cell)} {...light}>
        <i>s</i>(<i>i</i>, <i>j</i>)
      </Part>
      <Op>=</Op>
      <Part name="softcap" title="softcap" value={shown(parts.capped)} {...light}>
        softcap
      </Part>
      <Op>(</Op>
      <Part name="scale" title="scale" value={four(parts.scale)} {...light}>
        scale
      </Part>
      <Op>·</Op>
      <Part name="content" title="q̂ · k̂" value={four(parts.dot)} {...light}>
        <i>q̂</i>
        <sub>i</sub>·<i>k̂</i>
        <sub>j</sub>
      </Part>
      <Op>+</Op>
      <Part name="contentBias" title="scale · u · k̂" value={shown(parts.contentBias)} {...light}>
        scale · <i>u</i>
        <sub>h</sub>·<i>k̂</i>
        <sub>j</sub>
      </Part>
      <Op>+</Op>
      <Part name="queryTerms" title="terms of the query" value={shown(ofKind('query'))} {...light}>
        Σ <i>c</i>·(<i>q</i>
        <sub>i</sub>+<i>w</i>
        <sub>h</sub>)·<i>R</i>[ρ]
      </Part>
      <Op>+</Op>
      <Part name="keyTerms" title="terms of the key" value={shown(ofKind('key'))} {...light}>
        Σ <i>c</i>·<i>k</i>
        <sub>j</sub>·<i>S</i>[ρ]
      </Part>
      <Op>)</Op>
      {parts.context !== undefined && (
        <>
          <Op>+</Op>
          <Part name="context" title="contextual position" value={four(parts.context)} {...light}>
            <i>q</i>
            <sub>i</sub>·<i>E</i>[<i>p</i>]
          </Part>
        </>
      )}
      {factor !== undefined && (
        <>
          <Op>×</Op>
          <Part name="factors" title="factor" value={four(factor)} {...light}>
            factor
          </Part>
        </>
      )}
      <Op>+</Op>
      <Part name="biases" title="bias" value={shown(total(parts.biases))} {...light}>
        bias(<i>i</i>, <i>j</i>)
      </Part>
      <Op>+</Op>
      <Part name="mask" title="mask" value={hidden ? '−∞' : '0'} {...light}>
        mask(<i>i</i>, <i>j</i>)
      </Part>
    </section>
  );
}

/** p = exp(s − m) / l with its numbers. */
export function ProbabilityFormula({ cell, ...light }: { cell: Explanation } & Light) {
  const { softmax } = cell;
  return (
    <section class="formula" aria-label="The probability's formula, with its numbers">
      <Part name="probability" title="probability" value={four(softmax.probability)} {...light}>
        <i>p</i>(<i>i</i>, <i>j</i>)
      </Part>
      <Op>=</Op>
      <Part name="exp" title="exp of score − maximum" value={four(softmax.own)} {...light}>
        exp(<i>s</i>(<i>i</i>, <i>j</i>) − <i>m</i>)
      </Part>
      <Op>/</Op>
      <Part name="sum" title="sum over all keys" value={four(softmax.sum)} {...light}>
        Σ<sub>t</sub> exp(<i>s</i>(<i>i</i>, <i>t</i>) − <i>m</i>)
      </Part>
    </section>
  );
}
