/** One case from inputs to rows: prepare every peer, check its output, time all, relate them to the baseline. */
import { work } from './cases.mjs';
import { makeInputs } from './inputs.mjs';
import { measure } from './measure.mjs';
import { maxError } from './reference.mjs';
import { summarize } from './statistics.mjs';

/** Far above what float32 rounding gives (1e-6), far below what a wrong mask, bias or rotation gives. */
const MAX_ERROR = 1e-4;

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
  const error = maxError({ ...testCase, ...entry.differs }, inputs, output, entry.layout, entry.repeat);
  if (!(error <= MAX_ERROR)) return { reason: `WRONG RESULT, off by ${error}` };
  if (runMs > budget.maxFirstRunMs) return { reason: `too slow, the first run took ${(runMs / 1000).toFixed(1)} s` };
  return { error };
}

async function checkAll(entries, testCase, inputs, budget) {
  const passed = [];
  const skipped = [];
  for (const entry of entries) {
    const { reason, error } = await check(entry, testCase, inputs, budget);
    if (reason) skipped.push({ peer: label(entry), reason });
    else passed.push({ ...entry, maxError: error });
  }
  return { passed, skipped };
}

function toRow(entry, { times, runs }, testCase) {
  const { median, p10, p90, samples } = summarize(times);
  const { amount, unit } = work(testCase);
  return {
    peer: entry.peer.name,
    version: entry.peer.version,
    threads: entry.peer.threads,
    variant: entry.variant,
    medianMs: median,
    p10Ms: p10,
    p90Ms: p90,
    samples,
    runsPerSample: runs * entry.repeat,
    rate: amount / median / 1e6,
    unit,
    maxError: entry.maxError,
    sameWork: !entry.differs,
  };
}

/** The peers are compared with the baseline in its best configuration: its fastest row of this very run. */
function addSpeeds(rows, baseline) {
  const times = rows.filter(({ peer, sameWork }) => peer === baseline && sameWork).map(({ medianMs }) => medianMs);
  if (times.length === 0) return;
  const best = Math.min(...times);
  for (const row of rows) if (row.sameWork) row.speed = best / row.medianMs;
}

/** What the same peer's same variant costs more than without the part that `differs` leaves out. */
function costFindings(rows) {
  return rows
    .filter(({ sameWork }) => !sameWork)
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
 * @returns `{ id, rows, skipped, findings }`
 */
export async function runCase(testCase, peers, baseline, budget) {
  const inputs = makeInputs(testCase);
  const { entries, skipped } = await prepareAll(peers, testCase, inputs);
  try {
    const checked = await checkAll(entries, testCase, inputs, budget);
    const measured = await measure(checked.passed, budget);
    const rows = checked.passed.map((entry, n) => toRow(entry, measured[n], testCase));
    addSpeeds(rows, baseline);
    return { id: testCase.id, rows, skipped: [...skipped, ...checked.skipped], findings: costFindings(rows) };
  } finally {
    for (const entry of entries) await entry.dispose();
  }
}
