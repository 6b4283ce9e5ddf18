import { useMemo } from 'preact/hooks';
import { Chart } from '../../ui/chart.tsx';
import { Choice } from '../../ui/controls.tsx';
import { Figure } from '../../ui/figure.tsx';
import { BLOCK } from './losses.ts';
import { byPosition, keyOf, meanLoss } from './results.ts';
import { bytes, complete, type Shown } from './say.ts';
import { SCHEME_NAMES, SCHEMES, type SchemeName, TRAINED, WINDOWS, type WindowLength } from './schemes.ts';

const MARK = { x: TRAINED, text: 'trained up to here' };

const lineOf = (scheme: SchemeName) => ({
  label: SCHEMES[scheme].title,
  colour: SCHEME_NAMES.indexOf(scheme) + 1,
  dashed: SCHEMES[scheme].stretched === true,
});

/** Mean loss over the length of the window. */
export function ByLength({ shown: { results, schemes, windows } }: { shown: Shown }) {
  const words = windows.join();
  const x = useMemo(() => [...windows], [words]);
  const series = useMemo(
    () => schemes.map((scheme) => ({ ...lineOf(scheme), values: x.map((window) => meanLoss(results, scheme, window) ?? null) })),
    [results, schemes, x],
  );
  return (
    <Figure wide title="Mean loss by the length of the window. Lower is better; level is what one wants.">
      {x.length && series.length ? (
        <Chart
          label="Mean loss by the length of the window, a line a scheme"
          x={x}
          series={series}
          across="bytes of the window"
          up="nats a byte"
          doubling
          points
          height={320}
          mark={MARK}
        />
      ) : (
        <p>Choose a scheme and a window.</p>
      )}
    </Figure>
  );
}

interface ByPositionProps {
  readonly shown: Shown;
  readonly at: WindowLength | undefined;
  readonly choose: (window: WindowLength) => void;
}

/** Loss over the place in the window. */
export function ByPosition({ shown, at, choose }: ByPositionProps) {
  const { results, schemes, windows } = shown;
  const computed = WINDOWS.filter((window) => windows.includes(window) && schemes.some((scheme) => results.has(keyOf(scheme, window))));
  const window = computed.find((one) => one === (at ?? complete(shown).at(-1))) ?? computed.at(-1);
  const x = useMemo(() => (window === undefined ? [] : Array.from({ length: window / BLOCK }, (_, n) => n * BLOCK + BLOCK / 2)), [window]);
  const series = useMemo(
    () =>
      schemes.map((scheme) => {
        const losses = window === undefined ? undefined : results.get(keyOf(scheme, window));
        return { ...lineOf(scheme), values: losses && window ? byPosition(losses, window) : x.map(() => null) };
      }),
    [results, schemes, window, x],
  );
  if (window === undefined) return null;
  return (
    <Figure wide title={`Loss by the place in the window, means of ${BLOCK} bytes. Look at what happens behind byte ${TRAINED}.`}>
      <Choice
        label="Windows of"
        value={String(window)}
        options={computed.map((one) => [String(one), `${bytes(one)} bytes`] as const)}
        onChange={(one) => choose(Number(one) as WindowLength)}
      />
      <Chart
        label={`Loss by the place in windows of ${window} bytes, a line a scheme`}
        x={x}
        series={series}
        across="place in the window"
        up="nats a byte"
        points={x.length < 5}
        height={320}
        mark={MARK}
      />
    </Figure>
  );
}
