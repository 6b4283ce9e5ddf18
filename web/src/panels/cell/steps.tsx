import type { ComponentChildren } from 'preact';
import { Bars, sizeOf } from './bars.tsx';
import { type Light, type PartName, scoreWords } from './formula.tsx';
import { four, signed } from './numbers.ts';
import type { BiasPart, Explanation, ScoreParts, TermPart } from './types.ts';

interface StepProps extends Light {
  readonly name: PartName;
  readonly title: ComponentChildren;
  /** The number that the step ends with. */
  readonly value?: string;
  readonly children: ComponentChildren;
}

/** One step of the computation. */
export function Step({ name, title, value, children, lit, light }: StepProps) {
  return (
    <li
      id={`step-${name}`}
      class={`step of-${name}${lit === name ? ' lit' : ''}`}
      tabIndex={-1}
      onPointerEnter={() => light(name)}
      onPointerLeave={() => light(undefined)}
    >
      <h4>
        <span>{title}</span>
        {value !== undefined && <span class="number result">{value}</span>}
      </h4>
      {children}
    </li>
  );
}

const differs = (a: Float32Array, b: Float32Array): boolean => a.some((x, n) => x !== b[n]);

function Vector({
  name,
  values,
  before,
  size,
  colour,
}: {
  name: string;
  values: Float32Array;
  before?: Float32Array;
  size: number;
  colour: number;
}) {
  return (
    <div class="vector">
      <span class="name">{name}</span>
      <Bars label={name} values={values} {...(before && { before })} size={size} colour={colour} />
    </div>
  );
}

const changeWords: Readonly<Record<Explanation['changes'][number], (parts: ScoreParts) => string>> = {
  normalised: () => 'q and k are first brought to length 1, times a number of the head.',
  turned: () => 'Channels turn in pairs, by angles that grow with the place: in the product only the distance is left of both places.',
  multiplied: ({ rowScale }) => `q is multiplied by ${rowScale === undefined ? 'a number' : four(rowScale)}, which its place says.`,
};

/** q and k, what they became, and the product. */
export function ContentSteps({ cell, ...light }: { cell: Explanation } & Light) {
  const { vectors, parts, i, j, changes } = cell;
  const { q, k, qHat, kHat, products, u } = vectors;
  const size = sizeOf(q, k, qHat, kHat);
  const changed = differs(q, qHat) || differs(k, kHat);
  const said = changes.map((change) => changeWords[change](parts)).join(' ') || 'The scheme leaves q and k as they are.';
  return (
    <>
      <Step name="content" title={<>q̂ · k̂, channel by channel</>} value={four(parts.dot)} {...light}>
        <p>
          {said} {changed && 'Outlines are what they were before. '}The products of the channels add up to q̂ · k̂.
        </p>
        <Vector name={`query ${i}`} values={qHat} {...(changed && { before: q })} size={size} colour={1} />
        <Vector name={`key ${j}`} values={kHat} {...(changed && { before: k })} size={size} colour={2} />
        <Vector name="products" values={products} size={sizeOf(products)} colour={3} />
      </Step>
      <Step name="scale" title="times the scale" value={four(parts.content)} {...light}>
        <p class="number">
          {four(parts.scale)} · {four(parts.dot)} = {four(parts.content)}
        </p>
        <p>The scale keeps the products of long vectors from growing with their width; 1/√D unless the model says otherwise.</p>
      </Step>
      {parts.contentBias !== undefined && u && (
        <Step name="contentBias" title="the head’s own query, u" value={four(parts.contentBias)} {...light}>
          <p>u is learned, one for each head, and asks every key the same, wherever the query stands: scale · u · k̂.</p>
          <Vector name="u of the head" values={u} size={sizeOf(u)} colour={4} />
        </Step>
      )}
    </>
  );
}

const termWords = ({ kind, row, w }: TermPart): string => {
  const who = kind === 'query' ? (w ? 'The query, with w of the head added,' : 'The query') : 'The key';
  return row === undefined
    ? `${who} meets no row of the table at this place: the term is 0.`
    : `${who} meets row ${row} of the table, which its place chooses.`;
};

/** Products with tables of relative positions. */
export function TermSteps({ cell, kind, ...light }: { cell: Explanation; kind: 'query' | 'key' } & Light) {
  const terms = cell.parts.terms.filter((term) => term.kind === kind);
  if (!terms.length) return null;
  const { q, k } = cell.vectors;
  const own = kind === 'query' ? q : k;
  return (
    <Step
      name={kind === 'query' ? 'queryTerms' : 'keyTerms'}
      title={kind === 'query' ? 'the query against a table of places' : 'the key against a table of places'}
      value={four(terms.reduce((a, { value }) => a + value, 0))}
      {...light}
    >
      {terms.map((term, n) => (
        <div key={n}>
          <p>{termWords(term)}</p>
          <Vector
            name={kind === 'query' ? `query ${cell.i}` : `key ${cell.j}`}
            values={own}
            size={sizeOf(own)}
            colour={kind === 'query' ? 1 : 2}
          />
          {term.w && <Vector name="w of the head" values={term.w} size={sizeOf(own, term.w)} colour={4} />}
          <Vector name={`row ${term.row ?? '–'}`} values={term.vector} size={sizeOf(term.vector)} colour={5} />
          <p class="number">
            {four(term.scale)} · {four(term.dot)} = {four(term.value)}
          </p>
        </div>
      ))}
    </Step>
  );
}

/** All that stands inside the softcap, and the softcap. */
export function SumSteps({ cell, softcap, ...light }: { cell: Explanation; softcap: number | undefined } & Light) {
  const { content, contentBias, terms, sum, capped, context, factors } = cell.parts;
  const added = [content, ...(contentBias === undefined ? [] : [contentBias]), ...terms.map(({ value }) => value)];
  return (
    <>
      {capped !== undefined && softcap !== undefined && (
        <Step name="softcap" title={`softcap, c = ${softcap}`} value={four(capped)} {...light}>
          <p class="number">
            {added.length > 1 && `${added.map((x, n) => (n ? signed(x) : four(x))).join(' ')} = ${four(sum)}; `}
            {softcap} · tanh({four(sum)} / {softcap}) = {four(capped)}
          </p>
          <p>No score gets beyond ±{softcap}: small ones stay, large ones bend. The bias comes after it and is not bent.</p>
        </Step>
      )}
      {context !== undefined && (
        <Step name="context" title="contextual position" value={four(context)} {...light}>
          <p>
            The place of a key is how many visible keys from it on the query counts, each by its gate. What that adds can be had only as a
            difference: the whole score less what stands before it.
          </p>
        </Step>
      )}
      {factors.length > 0 && (
        <Step name="factors" title="factor of the distance" value={factors.map(four).join(' × ')} {...light}>
          <p>Multiplies what is there so far; it depends on the distance alone.</p>
        </Step>
      )}
    </>
  );
}

const biasWords: Readonly<Record<BiasPart['kind'], string>> = {
  offset: 'depends on the offset j − i alone',
  index: 'is looked up in a table by the places of both',
  curve: 'is a curve of the distance, whose unit depends on the query’s place',
  sum: 'is the sum of a number of the query and one of the key',
  dense: 'was given for every query and key',
};

/** What is added behind, and what hides. */
export function BiasSteps({ cell, ...light }: { cell: Explanation } & Light) {
  const { parts, offset, hiddenBy, i, j } = cell;
  const { biases } = parts;
  return (
    <>
      {biases.length > 0 && (
        <Step name="biases" title="bias" value={four(biases.reduce((a, { value }) => a + value, 0))} {...light}>
          {biases.map(({ kind, value, gate, index }, n) => (
            <p key={n}>
              <span class="number">{four(value)}</span> {biasWords[kind]}
              {kind === 'offset' && `, here ${offset < 0 ? `−${-offset}` : offset}`}
              {index !== undefined && `, here at ${index}`}
              {gate !== undefined && `; the query’s gate ${four(gate)} is in it`}.
            </p>
          ))}
        </Step>
      )}
      <Step name="mask" title="mask" value={hiddenBy.length ? '−∞' : '0'} {...light}>
        <p>
          {hiddenBy.length
            ? `Query ${i} must not see key ${j}: ${hiddenBy.map((by) => (by === 'causal' ? 'the key comes later' : 'it is outside the window')).join(', and ')}. Its score counts as −∞, its probability is exactly 0.`
            : `Query ${i} sees key ${j}: nothing is added.`}
        </p>
      </Step>
    </>
  );
}

/** The parts once more in one line, beside what the engine says of all at once. */
export function ScoreStep({ cell, ...light }: { cell: Explanation } & Light) {
  const { content, contentBias, terms, capped, context, factors, biases, score } = cell.parts;
  const { hiddenBy } = cell;
  const inside =
    capped === undefined ? [content, ...(contentBias === undefined ? [] : [contentBias]), ...terms.map(({ value }) => value)] : [capped];
  const middle = [...inside, ...(context === undefined ? [] : [context])];
  const line = (list: readonly number[], after = false): string => list.map((x, n) => (n || after ? signed(x) : four(x))).join(' ');
  const factor = factors.map((x) => ` × ${four(x)}`).join('');
  const product = factors.length && middle.length > 1 ? `(${line(middle)})` : line(middle);
  const sum = middle.reduce((a, x) => a + x, 0) * factors.reduce((a, x) => a * x, 1) + biases.reduce((a, { value }) => a + value, 0);
  const apart =
    context !== undefined
      ? '; the contextual position is what the others leave of it.'
      : sum === score
        ? ', the same bits.'
        : `, ${four(Math.abs(sum - score))} apart: roundings of f32.`;
  return (
    <Step name="score" title="the score" value={hiddenBy.length && Number.isNaN(score) ? '–' : scoreWords(cell)} {...light}>
      {Number.isNaN(score) ? (
        <p>
          {hiddenBy.length
            ? 'Contextual positions count visible keys only; a hidden key has no place, and no score.'
            : 'Its probability is too small for f32. With contextual positions a score can be told by its probability alone, so all that is known is that it is more than 87 below the log-sum-exp.'}
        </p>
      ) : (
        <>
          <p class="number">
            {product}
            {factor}{' '}
            {line(
              biases.map(({ value }) => value),
              true,
            )}{' '}
            = {four(sum)}
          </p>
          <p>
            Each of these is a call of its own, in which the rest is left out. Asked for all at once the engine says{' '}
            <span class="number">{four(score)}</span>
            {apart}
          </p>
        </>
      )}
    </Step>
  );
}
