// Finds the coefficients of assembly/nn/activations.ts: polynomials whose largest weighted error is the least, by iteratively reweighted least
// squares (Lawson), each coefficient rounded to f32 in turn and the rest fitted anew. Prints them with the error of the exact polynomial.
//   node scripts/fit-activations.mjs

const POINTS = 1500;

/** Least squares of A·x ≈ b by Householder reflections; A is a list of rows. */
function solve(rows, right) {
  const a = rows.map((row, n) => [...row, right[n]]);
  const columns = rows[0].length;
  for (let c = 0; c < columns; c++) {
    const v = a.slice(c).map((row) => row[c]);
    v[0] += Math.sign(v[0] || 1) * Math.hypot(...v);
    const size = v.reduce((sum, x) => sum + x * x, 0);
    for (let j = c; j <= columns; j++) {
      const factor = (2 * v.reduce((sum, x, n) => sum + x * a[c + n][j], 0)) / size;
      for (let n = 0; n < v.length; n++) a[c + n][j] -= factor * v[n];
    }
  }
  const x = new Array(columns).fill(0);
  for (let c = columns - 1; c >= 0; c--) {
    let rest = a[c][columns];
    for (let j = c + 1; j < columns; j++) rest -= a[c][j] * x[j];
    x[c] = rest / a[c][c];
  }
  return x;
}

/** Coefficients c of Σ c[k]·x^k ≈ f, k = 0 … degree, those in `fixed` given; `points` are { x, f, weight }, the error is weight·|Σ − f|. */
function minimax(points, degree, fixed) {
  const free = [...Array(degree + 1).keys()].filter((k) => !fixed.has(k));
  if (!free.length) return [...Array(degree + 1).keys()].map((k) => fixed.get(k));
  const top = Math.max(...points.map(({ x }) => Math.abs(x)));
  let lawson = points.map(() => 1);
  let best;
  for (let round = 0; round < 200; round++) {
    const rows = points.map(({ x, weight }, n) => free.map((k) => Math.sqrt(lawson[n]) * weight * (x / top) ** k));
    const right = points.map(({ x, f, weight }, n) => {
      let goal = f;
      for (const [k, c] of fixed) goal -= c * x ** k;
      return Math.sqrt(lawson[n]) * weight * goal;
    });
    const found = solve(rows, right);
    const c = [...Array(degree + 1).keys()].map((k) => (fixed.has(k) ? fixed.get(k) : found[free.indexOf(k)] / top ** k));
    const errors = points.map((point) => errorAt(c, point));
    const worst = Math.max(...errors);
    if (!best || worst < best.worst) best = { c, worst };
    const sum = errors.reduce((total, e, n) => total + e * lawson[n], 0);
    lawson = lawson.map((w, n) => Math.max(1e-12, (w * errors[n] * points.length) / sum));
  }
  return best.c;
}

const errorAt = (c, { x, f, weight }) => weight * Math.abs(c.reduceRight((sum, each) => sum * x + each, 0) - f);

/** Prints coefficients of f32 from `first` on, rounded from the constant one to the highest. */
function show(name, letter, first, points, degree, fixed = new Map()) {
  for (let k = 0; k <= degree; k++) if (!fixed.has(k)) fixed.set(k, Math.fround(minimax(points, degree, fixed)[k]));
  const c = minimax(points, degree, fixed);
  console.log(`${name}: ${Math.max(...points.map((point) => errorAt(c, point))).toExponential(2)}`);
  const view = new DataView(new ArrayBuffer(4));
  c.forEach((value, k) => {
    view.setFloat32(0, value);
    console.log(`  ${letter}${k + first} 0x${view.getUint32(0).toString(16)} ${value.toExponential(8)}`);
  });
}

/** Chebyshev's points of [from, to], which crowd at the ends. */
const spread = (from, to) =>
  Array.from({ length: POINTS }, (_, n) => (from + to) / 2 - ((to - from) / 2) * Math.cos((Math.PI * (n + 0.5)) / POINTS));

/** Σ xⁿ·first/(more · … ), from the ratio of each term to the one before. */
function series(first, ratio) {
  let sum = 0;
  for (let n = 1, term = first; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
    sum += term;
    term *= ratio(n);
  }
  return sum;
}

/** (e^r − 1 − r)/r². */
const restOfExp = (r) => series(0.5, (n) => r / (n + 2));

/** 1 − Φ(t): by the series of Φ, or where that cancels by the continued fraction of erfc. */
function tail(t) {
  if (t < 2) return 0.5 - (Math.exp((-t * t) / 2) / Math.sqrt(2 * Math.PI)) * series(t, (n) => (t * t) / (2 * n + 1));
  let rest = t;
  for (let n = 300; n > 0; n--) rest = t + n / rest;
  return Math.exp((-t * t) / 2) / Math.sqrt(2 * Math.PI) / rest;
}

const exponents = spread(-Math.LN2 / 2, Math.LN2 / 2).filter((r) => Math.abs(r) > 1e-3);
show(
  'e^r − 1 − r by r², of e^r',
  'C',
  2,
  exponents.map((r) => ({ x: r, f: restOfExp(r), weight: r ** 2 / Math.exp(r) })),
  4,
);

const tails = spread(0, 5.6);
show(
  'ln(1 − Φ(t)) in units of ln 2, of 1 − Φ or of 1/1000, which is more',
  'G',
  0,
  tails.map((t) => ({ x: t, f: Math.log2(tail(t)), weight: Math.max(tail(t), 1e-3) * Math.LN2 })),
  10,
  new Map([[0, -1]]),
);

show(
  '(1 − Φ(t))^(−1/16), of t·(1 − Φ(t)), t at least 0.3',
  'H',
  0,
  tails.map((t) => {
    const f = tail(t) ** (-1 / 16);
    return { x: t, f, weight: (16 * Math.max(t, 0.3) * tail(t)) / f };
  }),
  5,
);
