import { Bars, sizeOf } from './bars.tsx';
import type { Light } from './formula.tsx';
import { four, percent } from './numbers.ts';
import { Step } from './steps.tsx';
import type { Explanation, Halves } from './types.ts';

/** The online softmax by blocks of keys. */
export function SoftmaxSteps({ cell, ...light }: { cell: Explanation } & Light) {
  const { softmax, i, j } = cell;
  const { blocks, sink, max, sum, lse, own, probability } = softmax;
  const empty = max === Number.NEGATIVE_INFINITY;
  return (
    <>
      <Step name="sum" title="running maximum and sum" value={four(sum)} {...light}>
        <p>
          Keys come in blocks. Whenever a block has a larger score than all before it, m grows and the sum so far is multiplied by exp(old m
          − new m); so no exp overflows, and no row of scores has to be kept. The kernel takes many keys at a time; these blocks are small
          so that there is something to see.
        </p>
        <section class="scrolls" tabIndex={0} aria-label="Blocks of keys">
          <table>
            <thead>
              <tr>
                <th scope="col">keys</th>
                <th scope="col">largest</th>
                <th scope="col">m</th>
                <th scope="col">sum before ×</th>
                <th scope="col">adds</th>
                <th scope="col">sum</th>
              </tr>
            </thead>
            <tbody class="number">
              {blocks.map((block) => (
                <tr key={block.first} class={j >= block.first && j < block.first + block.count ? 'own' : ''}>
                  <th scope="row">
                    {block.first}–{block.first + block.count - 1}
                  </th>
                  <td>{four(block.largest)}</td>
                  <td>{four(block.max)}</td>
                  <td>{block.sum === block.added ? '–' : four(block.rescale)}</td>
                  <td>{four(block.added)}</td>
                  <td>{four(block.sum)}</td>
                </tr>
              ))}
              {sink && (
                <tr>
                  <th scope="row">sink</th>
                  <td>{four(sink.logit)}</td>
                  <td>{four(max)}</td>
                  <td>–</td>
                  <td>{four(sink.added)}</td>
                  <td>{four(sum)}</td>
                </tr>
              )}
            </tbody>
          </table>
        </section>
        {!empty && (
          <p>
            m + ln of the sum is the row’s log-sum-exp, <span class="number">{four(lse)}</span>.
          </p>
        )}
      </Step>
      <Step name="exp" title={`the share of key ${j}`} value={four(own)} {...light}>
        <p class="number">
          {empty || own === 0 ? `exp(−∞) = ${four(own)}` : `exp(${four(cell.parts.score)} − ${four(max).replace('−', '−')}) = ${four(own)}`}
        </p>
      </Step>
      <Step name="probability" title="the probability" value={percent(probability)} {...light}>
        <p class="number">{empty ? 'no key is seen: 0' : `${four(own)} / ${four(sum)} = ${four(probability)}`}</p>
        <p>
          {empty
            ? `Query ${i} sees no key at all: its probabilities are 0, never NaN.`
            : `So much of value ${j} goes into the result of query ${i}. Below is its whole row${sink ? '; the sink takes the rest' : ''}.`}
        </p>
        <Bars
          label={`Probabilities of query ${i}`}
          values={softmax.probabilities.map((p) => (Number.isNaN(p) ? 0 : p))}
          size={sizeOf(softmax.probabilities.filter((p) => !Number.isNaN(p)))}
          colour={8}
          chosen={j}
        />
      </Step>
    </>
  );
}

/** The same by two halves of the keys, each computed apart. */
export function HalvesStep({ halves, j }: { halves: Halves | undefined; j: number }) {
  if (!halves) {
    return <p>Contextual positions count all visible keys: they cannot be split.</p>;
  }
  const { parts, sink, lse, probability, apart } = halves;
  return (
    <>
      <p>
        <code>attentionPartial</code> gives each half its own probabilities and log-sum-exp; <code>mergeStates</code> weighs the halves by
        exp(own log-sum-exp − that of all). So the halves may lie on two machines.
        {!apart && ' This scheme looks places up by a list, so here each half is given all keys, and the others are hidden.'}
      </p>
      <section class="scrolls" tabIndex={0} aria-label="Halves of the keys">
        <table>
          <thead>
            <tr>
              <th scope="col">keys</th>
              <th scope="col">log-sum-exp</th>
              <th scope="col">weight</th>
              <th scope="col">p of key {j} within</th>
            </tr>
          </thead>
          <tbody class="number">
            {parts.map((part) => (
              <tr key={part.first} class={j >= part.first && j < part.first + part.count ? 'own' : ''}>
                <th scope="row">
                  {part.first}–{part.first + part.count - 1}
                </th>
                <td>{four(part.lse)}</td>
                <td>{four(part.weight)}</td>
                <td>{four(part.probability)}</td>
              </tr>
            ))}
            {sink !== undefined && (
              <tr>
                <th scope="row">sink</th>
                <td>–</td>
                <td>{four(sink)}</td>
                <td>–</td>
              </tr>
            )}
            <tr>
              <th scope="row">merged</th>
              <td>{four(lse)}</td>
              <td>{four(parts.reduce((a, { weight }) => a + weight, sink ?? 0))}</td>
              <td>{four(probability)}</td>
            </tr>
          </tbody>
        </table>
      </section>
    </>
  );
}
