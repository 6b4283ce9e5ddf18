// `relpos bench` from the packed library in every program that runs it: the name of the runtime, no failure, one hash; and the page of
// `relpos report` in a browser. Nothing is judged by its time.
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { browsers } from '../browsers/index.mjs';
import { workerd } from '../conformance/hosts/workerd.mjs';
import { installed } from '../conformance/install.mjs';
import { makeProject } from '../conformance/project.mjs';

const PROGRAMS = [
  { name: 'Node', program: process.execPath, flags: [] },
  { name: 'Deno', program: installed('.bin/deno'), flags: ['run', '--no-prompt', '--allow-write', '--allow-read'] },
  { name: 'Bun', program: installed('.bin/bun'), flags: [] },
];

const check = (name, error) => ({ name, ...(error ? { error } : {}) });

/** A runtime that is not here: a failure where everything must be, else a line of its own. */
function missing(name, why) {
  if (process.env.CI === 'true') return [check(`bench in ${name}`, `${why}, and CI needs it`)];
  console.log(`bench: ${name} is left out: ${why}`);
  return [];
}

/** Runs one program; its result goes to a file. */
async function runIn({ name, program, flags }, cli, file) {
  const words = ['bench', '--quick', '--only', '^(swin|rotary/512)', '--threads', '1,2', '--json', file];
  await promisify(execFile)(program, [...flags, cli, ...words], { timeout: 120_000 });
  return name;
}

/** The developers' benchmark, on a case with an encoding: an engine takes those of its own package alone. */
async function developersBench() {
  const words = ['bench/main.mjs', 'ops', 'encodings', '--quick', '--only', '^(t5|alibi)\\b.* 128|^swin$'];
  const { stdout } = await promisify(execFile)(process.execPath, words, { timeout: 120_000 });
  const found = ['t5 128', 'alibi 128', 'swin 484'].filter((id) => stdout.includes(`  ${id}`));
  return found.length === 3 ? undefined : stdout;
}

/** The benchmark of all runtimes, in the one that takes a bundle: its project is not conformance's. */
async function runtimesBench() {
  const words = ['bench/runtimes/main.mjs', 'workerd', '--only', '^rotary/512'];
  const { stdout } = await promisify(execFile)(process.execPath, words, { timeout: 120_000 });
  return /^workerd \S+: [0-9a-f]{8}, /m.test(stdout) ? undefined : stdout;
}

/** A result with a case that ran on one thread alone, made of another. */
function oneThreadOf(file, target) {
  const result = JSON.parse(readFileSync(file, 'utf8'));
  const rows = result.rows.filter(({ threads }) => threads === 1).map((row) => ({ ...row, case: `alone/${row.case}` }));
  writeFileSync(target, JSON.stringify({ ...result, rows }));
  return target;
}

/** What is wrong with a page of `relpos report`, in a browser. */
async function wrongWithPage(address) {
  const browser = await browsers[0].launch();
  try {
    const page = await browser.open(address);
    await page.evaluate('new Promise((resolve) => setTimeout(resolve, 500))');
    const found = await page.evaluate(`({
      bars: document.querySelectorAll('figure [aria-label="bar"] rect').length,
      points: JSON.parse(document.getElementById('data').textContent).charts.flatMap(({ bars }) => bars).length,
      named: [...document.querySelectorAll('figure [aria-label="bar"] rect')].every((bar) => /thread/.test(bar.getAttribute('aria-label'))),
      panels: document.querySelectorAll('figure [aria-label="fx-axis tick label"] text').length,
      filled: [...document.querySelectorAll('figure svg')].flatMap((svg) => [...new Set([...svg.querySelectorAll('[aria-label="bar"] rect')].map((bar) => bar.getAttribute('aria-label').match(/, (\\d+ threads?):/)[1]))]).length,
      hints: [...document.querySelectorAll('.table')].every((box) => (box.scrollWidth > box.clientWidth) === box.classList.contains('scrolls')),
      wide: document.documentElement.scrollWidth > innerWidth,
      resources: performance.getEntriesByType('resource').length,
    })`);
    const right = found.points > 0 && found.bars === found.points && found.named && found.panels === found.filled && found.hints && !found.wide && found.resources === 0;
    return right ? undefined : JSON.stringify(found);
  } finally {
    await browser.close();
  }
}

/** All checks, on the packed library. */
export async function benchChecks(tarball) {
  const project = await makeProject(tarball);
  const results = mkdtempSync(join(tmpdir(), 'relpos-results-'));
  const cli = join(project.folder, 'node_modules/relpos/dist/cli/main.js');
  const node = (...words) => promisify(execFile)(process.execPath, [cli, ...words]);
  const checks = [];
  try {
    const files = [];
    for (const one of PROGRAMS) {
      if (!existsSync(one.program)) {
        checks.push(...missing(one.name, `${one.program} is no file`));
        continue;
      }
      const file = join(results, `${one.name}.json`);
      const wrong = await runIn(one, cli, file).catch((error) => String(error.stderr || error));
      const named = wrong === one.name ? (await node('bench', '--compare', file, file)).stdout.includes(`${one.name} `) : false;
      checks.push(check(`bench in ${one.name}`, wrong !== one.name ? wrong : !named && 'the result has another name'));
      if (named) files.push(file);
    }
    const compared = await node('bench', '--compare', ...files).catch((error) => error);
    checks.push(check(`bench: the same bits in ${files.length} runtimes`, compared.code ? compared.stderr : !/same in 2 of 2/.test(compared.stdout) && compared.stdout));
    checks.push(check('npm run bench: cases with encodings', await developersBench().catch((error) => String(error.stderr || error))));
    if (workerd.missing()) checks.push(...missing('workerd', workerd.missing()));
    else checks.push(check('npm run bench:runtimes: workerd', await runtimesBench().catch((error) => `${error.stdout}${error.stderr || error}`)));
    const absent = browsers[0].missing();
    if (absent.length) return [...checks, ...missing('the report in a browser', `${absent.join(', ')} is not installed`)];
    const page = join(results, 'report.html');
    await node('report', ...files, oneThreadOf(files[0], join(results, 'alone.json')), '-o', page);
    checks.push(check('report: a bar for each rate, each with a name, no panel without bars, in a page that loads nothing', await wrongWithPage(pathToFileURL(page).href)));
  } catch (error) {
    checks.push(check('bench', String(error.stack ?? error)));
  } finally {
    project.remove();
    rmSync(results, { recursive: true, force: true });
  }
  return checks;
}
