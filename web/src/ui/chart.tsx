import { useEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import { three } from './numbers.ts';

/** One line of a chart. */
export interface Series {
  readonly label: string;
  readonly values: ArrayLike<number | null>;
  /** Which of the nine colours, from 1; else by its place. */
  readonly colour?: number;
  readonly dashed?: boolean;
}

interface ChartProps {
  /** What it shows, in a sentence, for those who hear the page. */
  readonly label: string;
  /** Ascending. */
  readonly x: ArrayLike<number>;
  readonly series: readonly Series[];
  readonly across: string;
  readonly up: string;
  readonly height?: number;
  /** The x axis by powers of two. */
  readonly doubling?: boolean;
  /** Dots at the values. */
  readonly points?: boolean;
  /** The ends of the y axis; else those of the values. */
  readonly ends?: readonly [number, number];
  /** A line upwards at this x, and what it says. */
  readonly mark?: { readonly x: number; readonly text: string };
}

/** What uPlot is made anew for; numbers alone are only handed on. */
const shapeOf = ({ series, across, up, height, doubling, points, ends, mark }: ChartProps): string =>
  JSON.stringify([series.map(({ label, colour, dashed }) => [label, colour, dashed]), across, up, height, doubling, points, ends, mark]);

const dataOf = ({ x, series }: ChartProps): uPlot.AlignedData =>
  [Array.from(x), ...series.map(({ values }) => Array.from(values))] as uPlot.AlignedData;

/** Draws the line upwards behind the others, its words at its upper end, on the side that has room. */
function drawMark(plot: uPlot, { x, text }: NonNullable<ChartProps['mark']>, colour: string): void {
  const { ctx, bbox } = plot;
  const at = Math.round(plot.valToPos(x, 'x', true));
  if (at < bbox.left || at > bbox.left + bbox.width) return;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = colour;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(at, bbox.top);
  ctx.lineTo(at, bbox.top + bbox.height);
  ctx.stroke();
  ctx.font = `${12 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.textBaseline = 'top';
  const right = at + ctx.measureText(text).width + 8 * devicePixelRatio < bbox.left + bbox.width;
  ctx.textAlign = right ? 'left' : 'right';
  ctx.fillText(text, at + (right ? 4 : -4) * devicePixelRatio, bbox.top + 2 * devicePixelRatio);
  ctx.restore();
}

function optionsOf(
  { series, across, up, height = 260, doubling = false, points = false, ends, mark }: ChartProps,
  width: number,
  place: Element,
): uPlot.Options {
  const style = getComputedStyle(place);
  const colour = (name: string): string => style.getPropertyValue(name);
  // A canvas does not know light-dark(): the colour is computed by an element.
  const probe = document.createElement('span');
  place.append(probe);
  const computed = (name: string): string => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color || colour(name);
  };
  const axis = {
    stroke: computed('--quiet'),
    grid: { stroke: computed('--line'), width: 1 },
    ticks: { stroke: computed('--line'), width: 1 },
  };
  const options: uPlot.Options = {
    width,
    height,
    cursor: { drag: { x: false, y: false } },
    scales: { x: { time: false, ...(doubling && { distr: 3, log: 2 }) }, y: ends ? { range: () => [...ends] } : {} },
    axes: [
      { ...axis, label: across, labelSize: 22, size: 34 },
      { ...axis, label: up, labelSize: 22, size: 58, values: (_, ticks) => ticks.map((tick) => (tick === null ? '' : three(tick))) },
    ],
    series: [
      { label: across, value: (_, x) => (x === null ? '–' : String(x)) },
      ...series.map(({ label, colour: own, dashed }, n) => ({
        label,
        stroke: computed(`--series-${own ?? (n % 9) + 1}`),
        width: 2,
        points: { show: points },
        ...(dashed && { dash: [6, 4] }),
        value: (_: uPlot, y: number | null) => (y === null ? '–' : three(y)),
      })),
    ],
  };
  if (mark) options.hooks = { drawAxes: [(plot) => drawMark(plot, mark, axis.stroke)] };
  probe.remove();
  return options;
}

/** Lines over a number, with the values under the pointer in the legend. */
export function Chart(props: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const last = useRef(props);
  last.current = props;
  // The table is not made while nobody sees it: charts change with every step of a slider.
  const [open, setOpen] = useState(false);
  const shape = shapeOf(props);
  useEffect(() => {
    const element = place.current;
    if (!element) return undefined;
    const make = (): void => {
      plot.current?.destroy();
      plot.current = new uPlot(optionsOf(last.current, element.clientWidth, element), dataOf(last.current), element);
    };
    make();
    const fit = (): void => {
      const width = element.clientWidth;
      if (plot.current && width > 0 && plot.current.width !== width) plot.current.setSize({ width, height: last.current.height ?? 260 });
    };
    // In the next frame: a size set in the observer may bring a scroll bar, which it would have to hear of at once, and says so as an error.
    let frame = 0;
    const resized = new ResizeObserver(() => {
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(fit);
    });
    resized.observe(element);
    const scheme = matchMedia('(prefers-color-scheme: dark)');
    scheme.addEventListener('change', make);
    return () => {
      scheme.removeEventListener('change', make);
      resized.disconnect();
      cancelAnimationFrame(frame);
      plot.current?.destroy();
      plot.current = undefined;
    };
  }, [shape]);
  useEffect(() => plot.current?.setData(dataOf(props)), [props.x, ...props.series.map(({ values }) => values)]);
  return (
    <>
      <div class="chart" ref={place} role="img" aria-label={props.label} />
      <details onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary class="quiet">Numbers</summary>
        <section class="scrolls" tabIndex={0} aria-label={`Numbers of: ${props.label}`}>
          {open && <Numbers {...props} />}
        </section>
      </details>
    </>
  );
}

/** Rows of the table at most: every so many of the values. */
const ROWS = 40;

function Numbers({ x, series, across }: ChartProps) {
  const step = Math.max(1, Math.ceil(x.length / ROWS));
  const rows = Array.from({ length: Math.ceil(x.length / step) }, (_, n) => n * step);
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">{across}</th>
          {series.map(({ label }) => (
            <th key={label} scope="col">
              {label}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((n) => (
          <tr key={n}>
            <th scope="row">{x[n]}</th>
            {series.map(({ label, values }) => (
              <td key={label}>{typeof values[n] === 'number' ? three(values[n]) : '–'}</td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
