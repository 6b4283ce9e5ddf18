import { interpolateCividis, interpolateRdBu } from 'd3-scale-chromatic';

/** How numbers become colours: from least to most, or from −size through 0 to size. */
export type Ramp = 'sequential' | 'diverging';

const STEPS = 256;

/** The colours of a ramp, [256][4] bytes. */
function makeRamp(colour: (t: number) => string): Uint8ClampedArray {
  const bytes = new Uint8ClampedArray(4 * STEPS);
  for (let n = 0; n < STEPS; n++) {
    const [r = 0, g = 0, b = 0] =
      colour(n / (STEPS - 1))
        .match(/\d+/g)
        ?.map(Number) ?? [];
    bytes.set([r, g, b, 255], 4 * n);
  }
  return bytes;
}

const RAMPS: Record<Ramp, Uint8ClampedArray> = {
  sequential: makeRamp(interpolateCividis),
  diverging: makeRamp((t) => interpolateRdBu(1 - t)),
};

/** Least and most of the finite numbers; for a diverging ramp the same size on both sides. */
export function domainOf(values: ArrayLike<number>, ramp: Ramp): [number, number] {
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let n = 0; n < values.length; n++) {
    const x = values[n] as number;
    if (!Number.isFinite(x)) continue;
    if (x < least) least = x;
    if (x > most) most = x;
  }
  if (least > most) return [0, 0];
  if (ramp === 'sequential') return [least, most];
  const size = Math.max(Math.abs(least), Math.abs(most));
  return [-size, size];
}

/** Paints numbers into the bytes of an image. What is not finite (a hidden key) stays clear. */
export function paint(pixels: Uint8ClampedArray, values: ArrayLike<number>, ramp: Ramp, [least, most]: readonly [number, number]): void {
  const colours = RAMPS[ramp];
  const factor = most > least ? (STEPS - 1) / (most - least) : 0;
  const middle = ramp === 'diverging' ? STEPS >> 1 : 0;
  const words = new Uint32Array(pixels.buffer, pixels.byteOffset, values.length);
  const table = new Uint32Array(colours.buffer, colours.byteOffset, STEPS);
  for (let n = 0; n < values.length; n++) {
    const x = values[n] as number;
    // Less itself, a number is 0, and what is not finite is none.
    if (x - x !== 0) {
      words[n] = 0;
      continue;
    }
    const step = factor ? Math.trunc((x - least) * factor + 0.5) : middle;
    words[n] = table[step < 0 ? 0 : step < STEPS ? step : STEPS - 1] as number;
  }
}

/** The ramp as a gradient of CSS. */
export function gradient(ramp: Ramp): string {
  const colours = RAMPS[ramp];
  const stops = Array.from({ length: 17 }, (_, n) => {
    const at = 4 * Math.round((n * (STEPS - 1)) / 16);
    return `rgb(${colours[at]} ${colours[at + 1]} ${colours[at + 2]})`;
  });
  return `linear-gradient(to right, ${stops.join(', ')})`;
}
