// What the panel Speed compares with, as small files beside it: the cases of `relpos bench` with the hashes that Node computes, and the newest
// published runs of bench/results. Needs the library's build; a test says when these files are old.
//   node scripts/speed.mjs
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { bench, benchCases } from '../../dist/bench/index.js';

const here = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));

/** Precisions whose bits are the same everywhere. */
const PRECISIONS = ['reproducible', 'int16'];

/** Every case once: its work, whether the quick run has it, and its output's hash in each precision that is the same everywhere. */
export async function makeReference() {
  const runs = [];
  for (const precision of PRECISIONS) runs.push(await bench({ threads: 1, precision }, { calls: 1 }));
  const quick = await bench({ threads: 1 }, { calls: 1, quick: true });
  return {
    host: runs[0].host.label,
    cases: benchCases.map((id, n) => {
      const { unit, work, failure } = runs[0].rows[n];
      if (failure) throw new Error(`${id}: ${failure}`);
      const hashes = Object.fromEntries(PRECISIONS.map((precision, at) => [precision, runs[at].rows[n].hash]));
      return { id, quick: quick.rows.some((row) => row.case === id), unit, work, hashes };
    }),
  };
}

/** The newest results of all runtimes, a file for each precision. */
export function publishedFiles() {
  const folder = here('../bench/results');
  const files = readdirSync(folder).filter((name) => /-runtimes(-[a-z0-9]+)?\.json$/.test(name));
  // By what stands behind the date.
  const newest = new Map(files.sort().map((name) => [name.slice('2026-01-01'.length), name]));
  return [...newest.values()].map((name) => `${folder}/${name}`);
}

/** The newest run of all runtimes in each precision: milliseconds a call, by case and number of threads. */
export function makePublished() {
  return publishedFiles().map((file) => {
    const { date, cpu, cpus, results } = JSON.parse(readFileSync(file, 'utf8'));
    const runs = results.map(({ host, rows }) => ({ label: host.label, rows: rows.map(published) }));
    return { date: date.slice(0, 10), cpu, cores: cpus, precision: results[0].precision, runs };
  });
}

const published = ({ case: id, threads, ms }) => ({ case: id, threads, ms: Number(ms.toPrecision(4)) });

const write = (name, value) => writeFileSync(here(`src/panels/speed/${name}.json`), `${JSON.stringify(value, null, 1)}\n`);

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  write('reference', await makeReference());
  write('published', makePublished());
}
