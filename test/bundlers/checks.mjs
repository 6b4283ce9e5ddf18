// What must hold of the apps: they run where they belong, on the threads that they asked for, with the bits of the packed library in Node; the
// relaxed kernels are a file of their own that only those load who ask for them; and nothing is larger than its budget.
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { isHere, openBrowser } from './browser.mjs';
import { run } from './program.mjs';
import { makeProjects } from './project.mjs';
import { bytesOf, sizesOf } from './sizes.mjs';
import { table } from './table.mjs';
import { typeChecks } from './types.mjs';

/** What can be asked for: the matrix of TypeScript, and the modules under tools/, in the order of the table. */
export const NAMES = ['types', 'vite', 'webpack', 'rspack', 'rollup', 'esbuild', 'parcel', 'next', 'wrangler', 'deno', 'bun', 'jest'];

const BUDGETS = JSON.parse(readFileSync(new URL('budgets.json', import.meta.url), 'utf8'));

/** The outcome of one check; `error` says what is wrong, and is missing if nothing is. */
const check = (name, error) => ({ name, ...(error ? { error } : {}) });

/** A tool that is not here: a failure where everything must be, else a line of its own. */
function missing(name) {
  if (process.env.CI === 'true') return [check(`${name} is installed`, 'it is not, and CI needs it')];
  console.log(`bundlers: ${name} is not installed here; its rows are left out`);
  return [];
}

/** The relaxed kernels came as a file of their own, which holds them whole; where the host has no use for them, nothing came. */
function relaxedError({ result: { relaxedSimd, reason = '', hash }, chunks }, { reference, kernels }) {
  if (!relaxedSimd) {
    if (!reason.includes('does not fuse')) return `they do not run: ${reason}`;
    return (
      (hash !== reference && 'other bits than the reproducible kernels that run instead') || (chunks?.size && 'they were loaded in vain')
    );
  }
  if (!chunks) return undefined;
  const { raw } = sizesOf([...chunks.values()]);
  return (
    (chunks.size !== 1 && `${chunks.size} files: ${[...chunks.keys()]}`) ||
    (raw < kernels && `the file has ${raw} bytes, they have ${kernels}`)
  );
}

function sizeError(name, { brotli }) {
  const budget = BUDGETS[name];
  if (budget === undefined) return 'budgets.json has no number for it';
  return brotli > budget && `it has ${brotli}`;
}

function checkFinding(name, finding, facts) {
  const { threads, relaxed, result, bytes } = finding;
  if (result.error) return [check(`${name} runs`, result.error)];
  return [
    check(`${name}: ${threads} thread(s)`, result.threads !== threads && `it has ${result.threads}: ${result.reason}`),
    relaxed
      ? check(`${name}: kernels of their own`, relaxedError(finding, facts))
      : check(`${name}: the reference's bits`, result.hash !== facts.reference && `${result.hash}, not ${facts.reference}`),
    ...(bytes ? [check(`${name}: at most ${BUDGETS[name]} bytes with brotli`, sizeError(name, bytes))] : []),
  ];
}

/** What one tool's projects came to. */
async function checkTool(file, host, facts) {
  const { name, version, findings } = await import(`./tools/${file}.mjs`);
  if (!version()) return { rows: [], checks: missing(name) };
  const began = performance.now();
  const found = (await findings(host)).map((finding) => ({ ...finding, bytes: bytesOf(finding) }));
  const seconds = (performance.now() - began) / 1000;
  console.log(`bundlers: ${name} ${version()}, ${found.length} ways, ${seconds.toFixed(1)} s`);
  const checks = found.flatMap((finding) => checkFinding(`${name}, ${finding.way}`, finding, facts));
  const rows = found.map(({ way, result, bytes, chunks }) => {
    const same = result.hash === facts.reference;
    return {
      tool: name,
      version: version(),
      way,
      threads: result.threads,
      same,
      relaxed: result.relaxedSimd,
      bytes,
      chunk: chunks && sizesOf([...chunks.values()]),
    };
  });
  return { rows, checks };
}

/** Every tool asked for, one after the other, with one browser. */
async function checkTools(projects, asked) {
  if (!isHere()) return { rows: [], checks: missing('chromium') };
  const rows = [];
  const checks = [];
  const browser = await openBrowser();
  try {
    const facts = {
      reference: JSON.parse(await run(process.execPath, ['print.js'], projects.make('reference', {}))).hash,
      kernels: statSync(join(projects.first, 'node_modules/relpos/dist/wasm/relaxed.wasm')).size,
    };
    for (const file of asked) {
      const outcome = await checkTool(file, { make: projects.make, browser }, facts).catch((error) => ({
        rows: [],
        checks: [check(`${file} builds and runs`, String(error.stack ?? error))],
      }));
      rows.push(...outcome.rows);
      checks.push(...outcome.checks);
    }
  } finally {
    await browser.close();
  }
  if (rows.length) console.log(`\n${table(rows)}\n`);
  return { rows, checks };
}

/** All checks of what is asked for, or of the gate, on the packed library, and the rows of the table. */
export async function bundlers(tarball, asked) {
  const projects = makeProjects(tarball);
  try {
    const names = asked ?? NAMES;
    const types = names.includes('types') ? await typeChecks(projects, asked !== undefined) : [];
    const tools = names.filter((name) => name !== 'types');
    const { rows, checks } = tools.length ? await checkTools(projects, tools) : { rows: [], checks: [] };
    return { rows, checks: [...types, ...checks] };
  } finally {
    projects.remove();
  }
}
