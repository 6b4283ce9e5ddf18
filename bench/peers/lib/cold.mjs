/** Cold starts in fresh processes that take turns, and their table. A child prints one JSON object of `FIELDS`. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { median } from './statistics.mjs';

const run = promisify(execFile);

/** @returns for each contender what its processes printed */
export async function startAll(program, child, contenders, { processes, words = [] }) {
  const results = Object.fromEntries(contenders.map((name) => [name, []]));
  for (let n = 0; n < processes; n++) {
    for (const name of contenders) {
      const { stdout } = await run(program, [child, name, ...words]);
      results[name].push(JSON.parse(stdout));
    }
  }
  return results;
}

const medians = (results) =>
  Object.fromEntries(Object.keys(results[0]).map((field) => [field, median(results.map((result) => result[field]))]));

export const summaryOf = (results) => Object.fromEntries(Object.entries(results).map(([name, starts]) => [name, medians(starts)]));

/** The lines of a table: milliseconds of each step, and what is resident in the end. */
export function coldTable(summary) {
  const line = (name, { importMs, createMs, firstRunMs, totalMs, residentMB }) => {
    const cells = [importMs, createMs, firstRunMs, totalMs].map((ms) => `${ms.toFixed(1)} ms`.padStart(12));
    return `${name.padEnd(18)}${cells.join('')}${`${residentMB.toFixed(0)} MB`.padStart(12)}`;
  };
  const head = ['import', 'create', 'first run', 'total', 'resident'].map((title) => title.padStart(12)).join('');
  return [`${''.padEnd(18)}${head}`, ...Object.entries(summary).map(([name, starts]) => line(name, starts))];
}

/** Of a child: takes its steps one after the other and prints what they took. The process ends: threads of some peers never would. */
export async function start(open) {
  const begin = performance.now();
  const { create, use } = await open();
  const imported = performance.now();
  const created = await create();
  const ready = performance.now();
  await use(created);
  const done = performance.now();
  const result = {
    importMs: imported - begin,
    createMs: ready - imported,
    firstRunMs: done - ready,
    totalMs: done - begin,
    residentMB: process.memoryUsage.rss() / 1e6,
  };
  process.stdout.write(JSON.stringify(result), () => process.exit(0));
}
