import { useMemo } from 'preact/hooks';
import { Chart } from '../../ui/chart.tsx';
import { domainOf, type Ramp } from '../../ui/colours.ts';
import { Figure } from '../../ui/figure.tsx';
import { type Cell, HeatMap } from '../../ui/heat-map.tsx';
import { three } from '../../ui/numbers.ts';
import type { Answer } from './compute.ts';
import type { Pictures } from './pictures.ts';

type Kind = 'added' | 'scores' | 'probabilities';

const TITLES: Readonly<Record<Kind, string>> = {
  added: 'Added to the score',
  scores: 'Score before the softmax',
  probabilities: 'Attention probability',
};
/** With the name of a scheme behind it. */
const SHORT: Readonly<Record<Kind, string>> = { added: 'Added', scores: 'Score', probabilities: 'Probability' };
const RAMPS: Readonly<Record<Kind, Ramp>> = { added: 'diverging', scores: 'sequential', probabilities: 'sequential' };

interface ViewProps {
  readonly answer: Answer;
  /** The pair that is chosen. */
  readonly cell: Cell;
  readonly onSelect: (cell: Cell) => void;
  readonly difference: boolean;
  /** Two of one kind are drawn in the same colours. */
  readonly alike: boolean;
}

/** The least and the most of all. */
function commonDomain(lists: readonly Float32Array[], ramp: Ramp): [number, number] {
  const domains = lists.map((list) => domainOf(list, ramp));
  return [Math.min(...domains.map(([least]) => least)), Math.max(...domains.map(([, most]) => most))];
}

/** Heat maps of one kind: one, two, or their difference. */
export function Maps({ answer, kind, cell, onSelect, difference, alike }: ViewProps & { kind: Kind }) {
  const { pictures, request } = answer;
  const { L, S } = request.sizes;
  const [first, second] = request.sides;
  const lists = useMemo(() => {
    const own = pictures.map((one: Pictures) => one[kind]);
    const [a, b] = own;
    return difference && a && b ? [a.map((x, n) => x - (b[n] as number))] : own;
  }, [pictures, kind, difference]);
  const apart = difference && second !== undefined;
  const ramp: Ramp = apart ? 'diverging' : RAMPS[kind];
  const bright = kind === 'probabilities' && !apart ? Math.max(...pictures.map((one) => one.bright)) : undefined;
  const domains = useMemo(() => {
    if (bright !== undefined) return lists.map((): [number, number] => [0, bright]);
    const common = commonDomain(lists, ramp);
    return lists.map((list) => (alike ? common : domainOf(list, ramp)));
  }, [lists, ramp, bright, alike]);
  const name = kind === 'added' && first?.bias && (second?.bias ?? true) ? 'Bias' : (second ? SHORT : TITLES)[kind];
  const say = ({ i, j }: Cell, value: number): string =>
    `query ${i}, key ${j}, distance ${i + S - L - j}: ${Number.isFinite(value) ? three(value) : 'hidden'}`;
  return (
    <>
      {lists.map((values, n) => {
        const side = request.sides[n]?.title ?? '';
        const title = apart ? `${name}: ${first?.title} less ${second?.title}` : request.sides.length > 1 ? `${name}: ${side}` : name;
        return (
          <Figure key={`${kind} ${n}`} title={title}>
            <HeatMap
              label={title}
              rows={L}
              columns={S}
              values={values}
              ramp={ramp}
              domain={domains[n] as [number, number]}
              beyond={bright !== undefined}
              down={`query i, 0 … ${L - 1}`}
              across={`key j, 0 … ${S - 1}`}
              selected={cell}
              onSelect={onSelect}
              say={say}
            />
          </Figure>
        );
      })}
    </>
  );
}

const shown = (x: number): number | null => (Number.isFinite(x) ? x : null);

/** The mean score over the distance. */
export function Curve({ answer }: { answer: Answer }) {
  const { pictures, request } = answer;
  const { L, S } = request.sizes;
  const [x, series] = useMemo(() => {
    const seen = Array.from({ length: L + S - 1 }, (_, at) => at).filter((at) => pictures.some(({ curve }) => Number.isFinite(curve[at])));
    const values = pictures.map(({ curve }) => seen.map((at) => shown(curve[at] as number)));
    return [seen.map((at) => at - (L - 1)), values];
  }, [answer]);
  return (
    <Figure wide title="Score over distance: the mean of all pairs that are that far apart">
      <Chart
        label="The mean score over the distance from a query back to a key"
        x={x}
        series={series.map((values, n) => ({ label: request.sides[n]?.title ?? '', values, colour: n + 1, dashed: n > 0 }))}
        across="distance, query less key"
        up="score"
      />
    </Figure>
  );
}

/** Where one query looks. */
export function Row({ answer, query }: { answer: Answer; query: number }) {
  const { pictures, request } = answer;
  const { L, S } = request.sizes;
  const i = Math.min(query, L - 1);
  const [x, series] = useMemo(() => {
    const rows = pictures.map(({ probabilities }) => probabilities.subarray(i * S, (i + 1) * S));
    return [Array.from({ length: S }, (_, j) => j), rows];
  }, [answer, i]);
  return (
    <Figure wide title={`Attention of query ${i}, which stands at position ${i + S - L}; click a row of a picture to choose another`}>
      <Chart
        label={`Attention of query ${i} over the keys`}
        x={x}
        series={series.map((values, n) => ({ label: request.sides[n]?.title ?? '', values, colour: n + 1, dashed: n > 0 }))}
        across="key j"
        up="probability"
        height={200}
      />
    </Figure>
  );
}
