import { four } from './numbers.ts';

interface BarsProps {
  /** What it is, in words. */
  readonly label: string;
  readonly values: Float32Array;
  /** Drawn as outlines: what it was before. */
  readonly before?: Float32Array;
  /** The size that fills the height above the line; that of the values if left out. */
  readonly size?: number;
  readonly colour: number;
  /** One that stands out. */
  readonly chosen?: number;
}

/** The largest size among the numbers of several vectors. */
export const sizeOf = (...vectors: readonly (Float32Array | undefined)[]): number =>
  vectors.reduce((most, vector) => vector?.reduce((a, x) => Math.max(a, Math.abs(x)), most) ?? most, 0);

/** What those hear who cannot see it. */
const heard = (label: string, values: Float32Array): string =>
  `${label}: ${values.length <= 16 ? [...values].map(four).join(', ') : `${values.length} channels, the first ${[...values.subarray(0, 8)].map(four).join(', ')}`}`;

/** A vector's channels as bars up and down from a line. */
export function Bars({ label, values, before, size, colour, chosen }: BarsProps) {
  const most = size || sizeOf(values, before) || 1;
  const n = values.length;
  // Where nothing is below zero, the line is at the foot.
  const foot = values.some((x) => x < 0) || before?.some((x) => x < 0) ? 20 : 40;
  // One path for all bars of a kind: hundreds of elements would cost a frame while a slider is dragged.
  const bar = (x: number, at: number): string => `M${at + 0.12} ${foot}v${((-foot * x) / most).toFixed(2)}h.76V${foot}z`;
  const path = (vector: Float32Array, kind: string, which: (at: number) => boolean = () => true) => (
    <path class={kind} d={[...vector].map((x, at) => (which(at) ? bar(x, at) : '')).join('')} />
  );
  return (
    <svg
      class="bars"
      viewBox={`0 0 ${n} 40`}
      preserveAspectRatio="none"
      role="img"
      aria-label={heard(label, values)}
      style={{ '--bar': `var(--series-${colour})` }}
    >
      {before && path(before, 'before')}
      {path(values, 'now', (at) => chosen === undefined || chosen === at)}
      {chosen !== undefined && path(values, 'other', (at) => at !== chosen)}
      <line x1="0" x2={n} y1={foot} y2={foot} />
    </svg>
  );
}
