/**
 * The script of a report: draws the charts that the page's own data describe. It is bundled with Observable Plot into one file, dist/report/page.js,
 * which `relpos report` writes into each page, and which no entry of the package loads.
 */
import { axisFx, barX, type PlotOptions, plot, pointerY, ruleX, text, tip } from '@observablehq/plot';
import type { Bar, Chart, Charts } from './data.ts';

type View = 'case' | 'name';

const data = JSON.parse(document.getElementById('data')?.textContent ?? '') as Charts;

/** Colours that differ in lightness too, for each scheme; a series keeps its colour in every chart. */
const LIGHT = [
  '#1f5fa8',
  '#d4681c',
  '#2a8a5b',
  '#9c3f8f',
  '#a8831c',
  '#c23b4a',
  '#3b8fa6',
  '#6b5bb5',
  '#6f7a2c',
  '#8a5a3c',
  '#56616f',
  '#b0568a',
];
const DARK = [
  '#6aa9ee',
  '#f0965a',
  '#62c792',
  '#d488c8',
  '#dcbb58',
  '#f07f8a',
  '#74c4da',
  '#a99bf0',
  '#b4c05e',
  '#c9977a',
  '#a3aebc',
  '#ea9ac6',
];

const three = (x: number): string => String(Number(x.toPrecision(3)));

/** What all plots of a figure share. */
interface Frame {
  readonly unit: string;
  readonly inner: View;
  readonly threads: readonly number[];
  readonly most: number;
  readonly width: number;
  readonly marginLeft: number;
  readonly dark: boolean;
}

/** Space between the columns of a plot, and before the first and after the last: a part of the step from one to the next. */
const GAP = 0.06;
const MARGIN_RIGHT = 8;

/** As wide as `shown` columns are in a plot of `all` of them, so that bars of one length mean one rate in all plots. */
function widthOf(shown: number, all: number, { width, marginLeft }: { readonly width: number; readonly marginLeft: number }): number {
  const margins = marginLeft + MARGIN_RIGHT;
  return margins + ((width - margins) * (shown + GAP)) / (all + GAP);
}

const threadsText = (n: number): string => `${n} thread${n > 1 ? 's' : ''}`;

/** The bars of one case, or of one runtime, in columns by threads. */
function draw(bars: readonly Bar[], { unit, inner, threads, most, width, marginLeft, dark }: Frame): SVGSVGElement | HTMLElement {
  const rows = (inner === 'name' ? data.names : [...new Set(bars.map((bar) => bar.case))]).filter((row) =>
    bars.some((bar) => bar[inner] === row),
  );
  const place = { x: 'rate', y: inner, fx: 'threads' } as const;
  const options: PlotOptions = {
    width,
    height: 46 + rows.length * 17,
    marginLeft,
    marginRight: MARGIN_RIGHT,
    marginTop: 18,
    marginBottom: 28,
    ariaLabel: `${unit} by ${inner === 'name' ? 'runtime' : 'case'} and threads; the table has the same numbers`,
    style: { background: 'transparent', color: 'currentColor', fontSize: '12px', fontFamily: 'inherit', overflow: 'visible' },
    x: { domain: [0, most], label: null, grid: true, insetRight: 44, ticks: width < 700 ? 3 : 6 },
    y: { domain: rows, label: null, tickSize: 0, padding: 0.18 },
    fx: { domain: [...threads], label: null, padding: GAP, round: false },
    color: { domain: data.names, range: dark ? DARK : LIGHT },
    marks: [
      axisFx({ anchor: 'top', label: null, tickFormat: threadsText, dy: 4 }),
      barX(bars, {
        ...place,
        fill: 'name',
        rx: 1.5,
        ariaLabel: (bar: Bar) => `${bar.case}, ${bar.name}, ${threadsText(bar.threads)}: ${three(bar.rate)} ${unit}`,
      }),
      text(bars, { ...place, text: (bar: Bar) => three(bar.rate), textAnchor: 'start', dx: 4, fontVariant: 'tabular-nums' }),
      ruleX([0]),
      tip(
        bars,
        pointerY({
          ...place,
          fill: dark ? '#22272e' : '#ffffff',
          title: (bar: Bar) => [bar.name, `${bar.case}, ${threadsText(bar.threads)}`, bar.detail].join('\n'),
        }),
      ),
    ],
  };
  return plot(options);
}

/** All plots of a unit, each under the name of its case or runtime; where there is no room for columns, each number of threads has its own. */
function drawChart({ unit, bars }: Chart, view: View, dark: boolean, width: number): HTMLElement[] {
  const inner = view === 'case' ? 'name' : 'case';
  const groups = view === 'name' ? data.names : [...new Set(bars.map((bar) => bar.case))];
  const threads = [...new Set(bars.map((bar) => bar.threads))].sort((a, b) => a - b);
  const longest = Math.max(...bars.map((bar) => bar[inner].length));
  const frame = {
    unit,
    inner,
    most: Math.max(...bars.map((bar) => bar.rate)),
    width,
    marginLeft: Math.min(Math.max(230, 0.35 * width), 20 + 6.6 * longest),
    dark,
  } as const;
  const columns = width < 620 ? threads.map((n) => [n]) : [threads];
  return groups.flatMap((group) => {
    const own = bars.filter((bar) => bar[view] === group);
    const plots = columns
      .map((shown) => ({ shown, bars: own.filter((bar) => shown.includes(bar.threads)) }))
      .filter((one) => one.bars.length);
    if (plots.length === 0) return [];
    const heading = document.createElement('h3');
    heading.textContent = group;
    return [
      heading,
      ...plots.map((one) => {
        const found = one.shown.filter((n) => one.bars.some((bar) => bar.threads === n));
        return draw(one.bars, { ...frame, threads: found, width: widthOf(found.length, one.shown.length, frame) }) as HTMLElement;
      }),
    ];
  });
}

const scheme = matchMedia('(prefers-color-scheme: dark)');

function drawAll(): void {
  const view = (document.querySelector<HTMLInputElement>('input[name="view"]:checked')?.value ?? 'case') as View;
  data.charts.forEach((chart, n) => {
    const figure = document.getElementById(`chart-${n}`);
    if (figure === null) return;
    figure.replaceChildren(...drawChart(chart, view, scheme.matches, Math.max(320, figure.clientWidth)));
  });
}

for (const input of document.querySelectorAll('input[name="view"]')) input.addEventListener('change', drawAll);
scheme.addEventListener('change', drawAll);

/** Tables that are wider than the page say so: their bar of scrolling may be hidden, or far below. */
function markWideTables(): void {
  for (const box of document.querySelectorAll('.table')) box.classList.toggle('scrolls', box.scrollWidth > box.clientWidth);
}

let width = 0;
new ResizeObserver(() => {
  if (document.body.clientWidth === width) return;
  width = document.body.clientWidth;
  drawAll();
  markWideTables();
}).observe(document.body);
