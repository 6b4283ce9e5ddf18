/** One case from inputs to rows: prepare every peer, check its output, time all, relate them to the baseline. */
import { PEAK_OF } from '../../peaks.mjs';
import { work } from './cases.mjs';
import { makeInputs } from './inputs.mjs';
import { measure } from './measure.mjs';
import { deviation } from './reference.mjs';
import { summarize } from './statistics.mjs';

/** Far above what float32 rounding gives (1e-6), far below what a wrong mask, bias or rotation gives. */
const MAX_ERROR = 1e-4;

/**
 * What fewer bits may cost, in parts of a row's root mean square. 16-bit products: 2.2e-4 rms (docs/numerics.md), the largest of some ten thousand
 * channels five times that. An i8 cache rounds keys and values to 1/127 of a row's largest: 5.5e-3 rms for these inputs, the largest four times that.
 * A key that is lost would be 0.1 or more in the head that looks at it most.
 */
const MAX_RELATIVE_ERROR = { int16: 2.5e-3, i16: 2.5e-3, i8: 0.04 };

/** What is wrong with an output, in words. */
function wrongness({ peer: { precision }, storage }, { absolute, relative }) {
  if (absolute <= MAX_ERROR) return undefined;
  const most = Math.max(0, ...[precision, storage].map((name) => MAX_RELATIVE_ERROR[name] ?? 0));
  if (relative <= most) return undefined;
  return `WRONG RESULT, off by ${absolute}, ${relative} of a row's root mean square`;
}

/** What fails is reported in its place; the rest goes on. */
async function prepareEntry(peer, build) {
  try {
    return { entry: { peer, ...(await build()) } };
  } catch (error) {
    return { skipped: { peer: peer.name, reason: `FAILED: ${error.message}` } };
  }
}

async function prepareAll(peers, testCase, inputs) {
  const entries = [];
  const skipped = [];
  for (const peer of peers) {
    const { builders = [], skip } = peer.prepare(testCase, inputs);
    if (skip) skipped.push({ peer: peer.name, reason: skip });
    for (const build of builders) {
      const prepared = await prepareEntry(peer, build);
      if (prepared.entry) entries.push(prepared.entry);
      else skipped.push(prepared.skipped);
    }
  }
  return { entries, skipped };
}

const label = ({ peer, variant }) => `${peer.name}: ${variant}`;

/** Runs an entry once: the reason not to time it, or its error against the reference. */
async function check(entry, testCase, inputs, budget) {
  const start = performance.now();
  let output;
  try {
    output = await entry.run();
  } catch (failure) {
    return { reason: `FAILED: ${failure.message}` };
  }
  const runMs = performance.now() - start;
  const error = deviation({ ...testCase, ...entry.differs }, inputs, output, entry.layout, entry.repeat);
  const wrong = wrongness(entry, error);
  if (wrong) return { reason: wrong };
  if (runMs > budget.maxFirstRunMs) return { reason: `too slow, the first run took ${(runMs / 1000).toFixed(1)} s` };
  return { error };
}

async function checkAll(entries, testCase, inputs, budget) {
  const passed = [];
  const skipped = [];
  for (const entry of entries) {
    const { reason, error } = await check(entry, testCase, inputs, budget);
    if (reason) skipped.push({ peer: label(entry), reason });
    else passed.push({ ...entry, error });
  }
  return { passed, skipped };
}

async function toRow(entry, { times, runs }, testCase, peaks) {
  const { median, p10, p90, min, samples } = summarize(times);
  const { amount, ...of } = work(testCase, entry.storage);
  const rate = amount / median / 1e6;
  const { native, precision = 'reproducible', threads } = entry.peer;
  const share = await peaks.share({ ...of, bytes: amount }, rate, threads, native ? undefined : PEAK_OF[precision]);
  return {
    peer: entry.peer.name,
    version: entry.peer.version,
    threads,
    variant: entry.variant,
    medianMs: median,
    p10Ms: p10,
    p90Ms: p90,
    minMs: min,
    samples,
    runsPerSample: runs * entry.repeat,
    rate,
    unit: of.unit,
    share,
    maxError: entry.error.absolute,
    maxRelativeError: entry.error.relative,
    ...(entry.storage && { storage: entry.storage }),
    // Fewer bits in a cache are another work: such a row is compared, but is not what the peer is judged by.
    sameWork: !entry.differs && (entry.storage ?? 'f32') === 'f32',
    plain: Boolean(entry.differs),
  };
}

/** The peers are compared with the baseline in its best configuration: its fastest row of this very run. */
function addSpeeds(rows, baseline) {
  const times = rows.filter(({ peer, sameWork }) => peer === baseline && sameWork).map(({ medianMs }) => medianMs);
  if (times.length === 0) return;
  const best = Math.min(...times);
  for (const row of rows) if (!row.plain) row.speed = best / row.medianMs;
}

/** What the same peer's same variant costs more than without the part that `differs` leaves out. */
function costFindings(rows) {
  return rows
    .filter(({ plain }) => plain)
    .flatMap((plain) =>
      rows
        .filter((row) => row.sameWork && row.peer === plain.peer)
        .map((row) => {
          const percent = (row.medianMs / plain.medianMs - 1) * 100;
          return `${row.peer}: "${row.variant}" costs ${percent.toFixed(1)} % over "${plain.variant}"`;
        }),
    );
}

/**
 * @param peers in the order they take turns
 * @param baseline name of the peer all others are compared with
 * @param peaks of bench/peaks.mjs
 * @returns `{ id, rows, skipped, findings }`
 */
export async function runCase(testCase, { peers, baseline, budget, peaks }) {
  const inputs = makeInputs(testCase);
  const { entries, skipped } = await prepareAll(peers, testCase, inputs);
  try {
    const checked = await checkAll(entries, testCase, inputs, budget);
    const measured = await measure(checked.passed, budget);
    await peaks.refresh();
    const rows = [];
    for (const [n, entry] of checked.passed.entries()) rows.push(await toRow(entry, measured[n], testCase, peaks));
    addSpeeds(rows, baseline);
    return { id: testCase.id, rows, skipped: [...skipped, ...checked.skipped], findings: costFindings(rows) };
  } finally {
    for (const entry of entries) await entry.dispose();
  }
}
