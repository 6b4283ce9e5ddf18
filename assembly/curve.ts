// A bias that is a piecewise linear function of a scaled table: a network of one input and one hidden layer, evaluated where it is needed.

/** s ← s + coefficient·Σ c·max(0, w·x + b), x = factor·row, over `units` triples (w, b, c); sums run in their order. */
export function addCurve(s: usize, row: usize, n: i32, factor: f32, triples: usize, units: i32, coefficient: f32): void {
  const last = triples + <usize>units * 12;
  const zero = f32x4.splat(0);
  for (const end = s + (<usize>n << 2); s < end; s += 16, row += 16) {
    const x = f32x4.mul(v128.load(row), f32x4.splat(factor));
    let y = zero;
    for (let at = triples; at < last; at += 12) {
      const unit = f32x4.add(f32x4.mul(v128.load32_splat(at), x), v128.load32_splat(at, 4));
      y = f32x4.add(y, f32x4.mul(v128.load32_splat(at, 8), f32x4.max(unit, zero)));
    }
    v128.store(s, f32x4.add(v128.load(s), f32x4.mul(f32x4.splat(coefficient), y)));
  }
}
