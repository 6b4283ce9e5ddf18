// Topic `threads`: one thread, two, four … as many as the machine has, by turns. What n threads take more than an n-th of one thread's time is the
// cost of handing out, waiting, and of parts that are not equally long.
import { compare } from './measure.mjs';
import { checked, line, rateOf, show } from './show.mjs';

/** 1, 2, 4 … and all. */
export function countsUpTo(cores) {
  const counts = [1];
  for (let n = 2; n < cores; n *= 2) counts.push(n);
  return [...counts, Math.max(2, cores)];
}

async function enginesOf(relpos, counts, precision) {
  const engines = [];
  for (const threads of counts) {
    const engine = await relpos.createEngine({ threads, precision });
    const { threads: found, reason } = engine.capabilities;
    if (found !== threads) throw new Error(`${threads} threads cannot be had: ${reason}`);
    engines.push(engine);
  }
  return engines;
}

async function compareThreads(one, engines, { budget, precision }) {
  const prepared = [];
  const errors = [];
  for (const engine of engines) {
    const own = await one.prepare(engine);
    prepared.push(own);
    errors.push(await checked(one.id, own, precision));
  }
  const times = await compare(
    prepared.map(({ run }) => run),
    budget,
  );
  for (const { dispose } of prepared) dispose();
  return times.map(({ ratio, ...own }, n) => ({ ratio, own, error: errors[n] }));
}

export async function threads(relpos, cases, { cores, ...options }) {
  const counts = countsUpTo(cores);
  const engines = await enginesOf(relpos, counts, options.precision);
  const results = [];
  for (const one of cases) {
    const found = await compareThreads(one, engines, options);
    const base = found[0].own.median;
    const rows = found.map(({ ratio, own, error }, n) => ({
      threads: counts[n],
      ...own,
      rate: rateOf(one, own.median),
      error,
      speedup: 1 / ratio,
      overheadUs: 1000 * base * (ratio - 1 / counts[n]),
    }));
    results.push({ name: one.id, unit: one.unit, rows, speedup: rows.at(-1).speedup });
    for (const row of rows) {
      const scaling = row.threads > 1 ? `, ${row.speedup.toFixed(2)} times as fast, ${show(row.overheadUs)} µs over its part` : '';
      line(`${one.id}, ${row.threads} thread${row.threads > 1 ? 's' : ''}`, row, `${show(row.rate)} ${one.unit}${scaling}`);
    }
  }
  for (const engine of engines) engine.dispose();
  return results;
}
