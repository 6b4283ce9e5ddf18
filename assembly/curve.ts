// A bias that is a piecewise linear function of a scaled table: a network of one input and one hidden layer, evaluated where it is needed.

/** y + c·max(0, w·x + b) for one unit (w, b, c) in memory; a NaN stays one. */
@inline function unit(at: usize, x: v128, y: v128): v128 {
  const z = f32x4.add(f32x4.mul(v128.load32_splat(at), x), v128.load32_splat(at + 4));
  return f32x4.add(y, f32x4.mul(v128.load32_splat(at + 8), f32x4.pmax(z, f32x4.splat(0))));
}

/** s + coefficient·y in place. */
@inline function addTo(s: usize, y: v128, coefficient: v128): void {
  v128.store(s, f32x4.add(v128.load(s), f32x4.mul(coefficient, y)));
}

/** s ← s + coefficient·Σ c·max(0, w·x + b), x = factor·row, over `units` triples (w, b, c); sums run in their order. */
export function addCurve(s: usize, row: usize, n: i32, factor: f32, triples: usize, units: i32, coefficient: f32): void {
  const last = triples + <usize>units * 12;
  const r = f32x4.splat(factor);
  const c = f32x4.splat(coefficient);
  for (; n > 4; n -= 8, s += 32, row += 32) {
    const x0 = f32x4.mul(v128.load(row), r);
    const x1 = f32x4.mul(v128.load(row, 16), r);
    let y0 = f32x4.splat(0);
    let y1 = f32x4.splat(0);
    for (let at = triples; at < last; at += 12) {
      y0 = unit(at, x0, y0);
      y1 = unit(at, x1, y1);
    }
    addTo(s, y0, c);
    addTo(s + 16, y1, c);
  }
  if (n <= 0) return;
  const x = f32x4.mul(v128.load(row), r);
  let y = f32x4.splat(0);
  for (let at = triples; at < last; at += 12) y = unit(at, x, y);
  addTo(s, y, c);
}
