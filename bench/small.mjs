// Topic `small`: calls from one query to 128 at several widths of a head, and batches of many short rows, each as a time and a share of the peak. A
// smaller call that takes longer than a larger one of the same width is marked: a tail that falls off a cliff.
import { attention } from '../build/bench-kit.mjs';
import { PEAK_OF } from './peaks.mjs';
import { checked, ofPeak, percent, rateOf, show } from './show.mjs';

const LENGTHS = [1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 47, 48, 49, 63, 64, 65, 80, 95, 96, 97, 112, 127, 128];
const WIDTHS = [32, 40, 48, 64, 72, 80, 96, 128];
const HEADS = 12;
/** The width at which prepared calls (engine.prepare) stand beside the others: what they save is the same at every width. */
const PREPARED_WIDTH = 64;

/** Rows of a batch and their length: a few, then many; 49 are the cells of a window. */
const BATCHES = [
  [1, 16],
  [16, 16],
  [256, 1],
  [1024, 4],
  [256, 8],
  [64, 16],
  [64, 49],
  [16, 128],
].map(([B, L]) => ({ B, L }));

/** Shortest sample in milliseconds, and the samples of a case. */
const SAMPLE_MS = 0.5;
const SAMPLES = { full: 41, quick: 9 };
/** A time that is more than this above that of a larger call is no noise of the clock. */
const CLIFF = 1.05;

/** The least of many short samples, in milliseconds a call: what else the machine does only ever adds. */
function least(run, samples) {
  const time = (calls) => {
    const start = performance.now();
    for (let n = 0; n < calls; n++) run();
    return performance.now() - start;
  };
  time(20);
  let calls = 1;
  while (time(calls) < SAMPLE_MS) calls *= 2;
  let best = Number.POSITIVE_INFINITY;
  for (let n = 0; n < samples; n++) best = Math.min(best, time(calls));
  return best / calls;
}

async function timed(engine, { B = 1, L, D, prepared: inAdvance = false }, { precision, quick }) {
  const one = attention(`${B}×${L}×${HEADS}×${D}`, { B, H: HEADS, L, D });
  const prepared = await one.prepare(engine);
  const error = await checked(one.id, prepared, precision);
  const run = inAdvance ? await prepared.prepareSync() : prepared.runSync;
  const ms = least(run, SAMPLES[quick ? 'quick' : 'full']);
  prepared.dispose();
  // A single query counts as bytes elsewhere; here all are operations.
  const work = { unit: 'GFLOP/s', part: 1, work: 4 * B * HEADS * L * L * D };
  const rate = rateOf(work, ms);
  return { B, L, D, ...(inAdvance && { prepared: true }), ms, rate, unit: work.unit, work, error };
}

/** With their share of the largest peak of the whole run. */
async function withShares(rows, { peaks, precision }) {
  const shared = [];
  for (const { work, ...row } of rows) shared.push({ ...row, share: await peaks.share(ofPeak(work), row.rate, 1, PEAK_OF[precision]) });
  return shared;
}

/** Marks the calls that take longer than a larger one of the same width. */
const withCliffs = (rows) =>
  rows.map((row) => ({
    ...row,
    cliff: rows.some(({ D, L, ms, prepared }) => D === row.D && prepared === row.prepared && L > row.L && row.ms > CLIFF * ms),
  }));

const cell = ({ ms, share, cliff }) => `${show(1000 * ms)} ${percent(share).replace(' ', '').padStart(4)}${cliff ? '!' : ' '}`.padStart(13);

export async function small(relpos, options) {
  const engine = await relpos.createEngine({ threads: 1, precision: options.precision });
  // The host compiles what is called often: the first cells shall not pay for it.
  for (let round = 0; round < 5; round++) for (const D of WIDTHS) await timed(engine, { L: 1, D }, options);
  const squares = [];
  for (const L of LENGTHS) {
    await options.peaks.refresh();
    for (const D of WIDTHS) squares.push(await timed(engine, { L, D }, options));
    squares.push(await timed(engine, { L, D: PREPARED_WIDTH, prepared: true }, options));
  }
  const rows = withCliffs(await withShares(squares, options));
  console.log(`  ${HEADS} heads, L = S: µs a call and the share of the peak; ! where a larger call takes less`);
  console.log(
    `  ${'L'.padStart(5)}${[...WIDTHS.map((D) => `D ${D}`), `${PREPARED_WIDTH}, prep.`].map((head) => head.padStart(13)).join('')}`,
  );
  for (const length of LENGTHS) {
    const cells = rows.filter(({ L }) => L === length).map(cell);
    console.log(`  ${String(length).padStart(5)}${cells.join('')}`);
  }
  const many = [];
  for (const { B, L } of BATCHES) many.push(await timed(engine, { B, L, D: L === 49 ? 32 : 64 }, options));
  const batches = await withShares(many, options);
  console.log('  batches: µs a call, and a row of the batch');
  for (const { B, L, D, ms, share } of batches) {
    const name = `${B} of ${L}×${HEADS}×${D}`;
    console.log(
      `  ${name.padEnd(20)}${show(1000 * ms).padStart(9)} µs${show((1000 * ms) / B).padStart(9)} µs${percent(share).padStart(7)} of peak`,
    );
  }
  engine.dispose();
  return [...rows, ...batches];
}
