import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { domainOf, gradient, paint, type Ramp } from './colours.ts';
import { three } from './numbers.ts';

/** A cell: query i, key j. */
export interface Cell {
  readonly i: number;
  readonly j: number;
}

interface HeatMapProps {
  /** What it shows, for those who hear the page. */
  readonly label: string;
  readonly rows: number;
  readonly columns: number;
  /** [rows, columns]; what is not finite is drawn as hidden. */
  readonly values: Float32Array;
  readonly ramp?: Ramp;
  /** What the ends of the ramp stand for; else the least and the most of the values. */
  readonly domain?: readonly [number, number];
  /** Numbers beyond the domain's upper end have its colour. */
  readonly beyond?: boolean;
  readonly down?: string;
  readonly across?: string;
  /** What the rows are called, written beside them in place of `down`. */
  readonly names?: readonly string[];
  readonly selected?: Cell | undefined;
  /** A cell was clicked, or chosen by Enter. */
  readonly onSelect?: (cell: Cell) => void;
  /** The arrow keys, and a pointer that is held down, choose every cell that they come to. */
  readonly follows?: boolean;
  /** The value under the pointer, in words. */
  readonly say?: (cell: Cell, value: number) => string;
}

/** Numbers of queries and keys as colours, with the value under the pointer; the arrow keys move it, Enter chooses. */
export function HeatMap({
  label,
  rows,
  columns,
  values,
  ramp = 'sequential',
  domain,
  beyond = false,
  down = 'query i',
  across = 'key j',
  names,
  selected,
  onSelect,
  follows = false,
  say,
}: HeatMapProps) {
  const id = useId();
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [at, setAt] = useState<Cell>();
  const ends = domain ?? domainOf(values, ramp);
  const [least, most] = ends;
  useEffect(() => {
    const element = canvas.current;
    const context = element?.getContext('2d');
    if (!element || !context || values.length < rows * columns) return;
    if (element.width !== columns || element.height !== rows) Object.assign(element, { width: columns, height: rows });
    const image = context.createImageData(columns, rows);
    paint(image.data, values, ramp, [least, most]);
    context.putImageData(image, 0, 0);
  }, [values, rows, columns, ramp, least, most]);

  const cell = at && at.i < rows && at.j < columns ? at : selected;
  const value = cell && (values[cell.i * columns + cell.j] as number);
  const words =
    cell && value !== undefined
      ? (say?.(cell, value) ?? `i = ${cell.i}, j = ${cell.j}: ${Number.isFinite(value) ? three(value) : 'hidden'}`)
      : ' ';
  const under = ({ clientX, clientY }: MouseEvent): Cell | undefined => {
    const edges = box.current?.getBoundingClientRect();
    if (!edges?.width || !edges.height) return undefined;
    const place = (x: number, size: number, count: number): number => Math.min(count - 1, Math.max(0, Math.floor((x / size) * count)));
    return { i: place(clientY - edges.top, edges.height, rows), j: place(clientX - edges.left, edges.width, columns) };
  };
  const move = (event: KeyboardEvent): void => {
    const from = cell ?? { i: 0, j: 0 };
    const far = event.shiftKey ? 10 : 1;
    const steps: Record<string, readonly [number, number]> = {
      ArrowUp: [-far, 0],
      ArrowDown: [far, 0],
      ArrowLeft: [0, -far],
      ArrowRight: [0, far],
    };
    const step = steps[event.key];
    if (step) {
      event.preventDefault();
      const inside = (x: number, count: number): number => Math.min(count - 1, Math.max(0, x));
      const to = cell ? { i: inside(from.i + step[0], rows), j: inside(from.j + step[1], columns) } : from;
      setAt(to);
      if (follows) onSelect?.(to);
    } else if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      onSelect?.(from);
    }
  };
  return (
    <div>
      <div class="heat" style={{ '--shape': `${columns} / ${rows}` }}>
        {names ? (
          <ol class="names quiet" aria-hidden="true">
            {names.map((name, n) => (
              <li key={`${n} ${name}`} class={n === cell?.i ? 'chosen' : ''}>
                {name}
              </li>
            ))}
          </ol>
        ) : (
          <span class="down quiet">{down}</span>
        )}
        <div
          class="cells"
          ref={box}
          tabIndex={0}
          role="application"
          aria-roledescription="heat map"
          aria-label={`${label}. Arrow keys move from cell to cell, with Shift by ten${onSelect && !follows ? '; Enter chooses one' : ''}.`}
          aria-describedby={id}
          onPointerMove={(event) => {
            const cell = under(event);
            setAt(cell);
            if (follows && event.buttons && cell) onSelect?.(cell);
          }}
          onPointerLeave={() => setAt(undefined)}
          onClick={(event) => {
            const chosen = under(event);
            if (chosen) onSelect?.(chosen);
          }}
          onKeyDown={move}
        >
          <canvas ref={canvas} />
          {cell && (
            <span
              class="mark"
              style={{
                left: `${(100 * cell.j) / columns}%`,
                top: `${(100 * cell.i) / rows}%`,
                width: `${100 / columns}%`,
                height: `${100 / rows}%`,
              }}
            />
          )}
        </div>
        <span class="across quiet">{across}</span>
      </div>
      <div class="scale quiet number">
        <span>{three(least)}</span>
        <span style={{ background: gradient(ramp) }} />
        <span>
          {beyond && '≥ '}
          {three(most)}
        </span>
      </div>
      <output id={id} class="number" aria-live={at ? 'polite' : 'off'}>
        {words}
      </output>
    </div>
  );
}
