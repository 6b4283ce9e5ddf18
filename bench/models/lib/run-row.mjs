/** One row from contenders to results: compare every output with the reference, then time all in turns. */
import { measure } from '../../peers/lib/measure.mjs';
import { summarize } from '../../peers/lib/statistics.mjs';
import { cosine, wrongness } from './compare.mjs';

/** What fails is named in its place; the rest goes on. */
export async function buildAll(builders) {
  const entries = [];
  const skipped = [];
  for (const { name, build } of builders) {
    try {
      entries.push(await build());
    } catch (error) {
      skipped.push({ peer: name, reason: error.message });
    }
  }
  return { entries, skipped };
}

const label = ({ peer, variant }) => `${peer}: ${variant}`;

async function check(entry, reference) {
  try {
    const likeness = cosine(await entry.output(), reference);
    return { likeness, reason: wrongness(entry, likeness) };
  } catch (error) {
    return { reason: error.message };
  }
}

/**
 * @param contenders `{ peer, version, weights, threads, variant, repeat, run, output }`: `output` resolves to what is compared
 * @param reference the same of f32
 * @returns `{ id, unit, rows, skipped }`
 */
export async function runRow({ id, amount = 1, unit = 'ms' }, contenders, reference, budget) {
  const passed = [];
  const skipped = [];
  for (const entry of contenders) {
    const { likeness, reason } = await check(entry, reference);
    if (reason) skipped.push({ peer: label(entry), reason });
    else passed.push({ ...entry, likeness });
  }
  const measured = await measure(passed, budget);
  const rows = passed.map(({ peer, version, weights, threads, variant, likeness, greedy }, n) => {
    const { median, p10, p90, min, samples } = summarize(measured[n].times);
    return {
      peer,
      version,
      weights,
      threads,
      variant,
      medianMs: median,
      p10Ms: p10,
      p90Ms: p90,
      minMs: min,
      samples,
      cosine: likeness,
      ...(greedy !== undefined && { greedy }),
    };
  });
  return { id, amount, unit, rows, skipped };
}
