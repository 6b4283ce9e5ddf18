/** The table of aims (lib/aims.mjs) on several hosts, one after the other: each Node in processes of its own, each browser in one page. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { browsers } from '../../test/browsers/index.mjs';
import { AIMS, BROWSER_CASES, tableLines } from './lib/aims.mjs';
import { environment } from './lib/environment.mjs';
import { nodeOf } from './lib/nodes.mjs';
import { packageVersion } from './lib/packages.mjs';
import { servePage } from './lib/pages.mjs';
import { caseLines, header } from './lib/report.mjs';
import { UsageError } from './lib/usage.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

const PRECISIONS = ['reproducible', 'relaxed', 'int16', 'int8'];

const exact = (ids) => `^(${ids.join('|')})$`;

/** The cases of the table whose name fits. */
const casesOf = (only) => [...new Set(AIMS.map((row) => row.case))].filter((id) => new RegExp(only).test(id));

/** Native code is compared with in rotations alone, so only those take its time. */
const isRotation = (id) => id.startsWith('rotary/');

const NODE_PARTS = [
  { peers: 'relpos,onnxruntime-web', takes: (id) => !isRotation(id) },
  { peers: 'relpos,onnxruntime-web,onnxruntime-node', takes: isRotation },
];

/** Runs main.mjs under a Node, once for each part. */
function runNode(program, { only, quick }) {
  const folder = mkdtempSync(join(tmpdir(), 'relpos-table-'));
  const runs = [];
  try {
    for (const { peers, takes } of NODE_PARTS) {
      const ids = casesOf(only).filter(takes);
      if (ids.length === 0) continue;
      const file = join(folder, 'part.json');
      const words = [
        '--peers',
        peers,
        '--precisions',
        'all',
        '--nine',
        '--only',
        exact(ids),
        '--json',
        file,
        ...(quick ? ['--quick'] : []),
      ];
      const { status } = spawnSync(program, [here('main.mjs'), ...words], { stdio: 'inherit' });
      if (status !== 0) throw new Error(`main.mjs ended with ${status}`);
      runs.push(JSON.parse(readFileSync(file, 'utf8')));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const [first, ...rest] = runs;
  return {
    label: `Node ${first.node.slice(1)}`,
    node: first.node,
    baseline: first.baseline,
    peers: Object.assign({}, ...runs.map(({ peers }) => peers)),
    peak: first.peak,
    results: [first, ...rest].flatMap(({ results }) => results),
  };
}

const nodeHost = (name, program) => ({
  name,
  missing: () => (program && existsSync(program) ? undefined : `there is no ${name} here`),
  run: (options) => runNode(program, options),
});

const NAMES = { chromium: 'Chromium', firefox: 'Firefox' };

async function runPage(browser, { only, quick }) {
  const server = await servePage();
  const running = await browser.launch();
  try {
    const page = await running.open(`http://127.0.0.1:${server.address().port}/`);
    for (let left = 600; !(await page.evaluate('globalThis.run !== undefined')); left--) {
      if (left === 0) throw new Error('the page did not load in a minute');
      await sleep(100);
    }
    const cases = casesOf(only).filter((id) => BROWSER_CASES.includes(id));
    const { version } = JSON.parse(readFileSync(here('../../package.json'), 'utf8'));
    const options = {
      cases,
      precisions: PRECISIONS,
      budget: quick ? 'quick-table' : 'table',
      versions: { relpos: version, web: packageVersion('onnxruntime-web') },
    };
    const { missing, ...run } = await page.evaluate(`run(${JSON.stringify(options)})`);
    const label = `${NAMES[browser.name]} ${running.version}`;
    console.log(`\n${label}\n${header()}`);
    for (const { precision, reason } of missing) console.log(`relpos ${precision}: left out, ${reason}`);
    for (const result of run.results) console.log(caseLines(result).join('\n'));
    return { label, baseline: 'onnxruntime-web', ...run };
  } finally {
    await running.close();
    server.close();
  }
}

const pageHost = (browser) => ({
  name: browser.name,
  missing: () => browser.missing().join(', ') || undefined,
  run: (options) => runPage(browser, options),
});

const HOSTS = [
  nodeHost('node24', nodeOf(24)),
  nodeHost('node20', nodeOf(20)),
  ...browsers.filter(({ name }) => name in NAMES).map(pageHost),
];

/** Runs what is asked for, prints the table, and writes the results. Without `on`, hosts that are not here are named and left out. */
export async function runTable({ on, only, quick, record, json }) {
  const asked = on?.split(',');
  const unknown = asked?.find((name) => !HOSTS.some((host) => host.name === name));
  if (unknown) throw new UsageError(`--on: no host "${unknown}"; there are ${HOSTS.map(({ name }) => name).join(', ')}`);
  if (casesOf(only).length === 0) throw new UsageError(`--only: the table has no case that fits ${only}`);
  const about = environment();
  const runs = [];
  for (const host of HOSTS.filter(({ name }) => asked?.includes(name) ?? true)) {
    const missing = host.missing();
    if (missing && asked) throw new UsageError(`${host.name}: ${missing}`);
    if (missing) {
      console.log(`${host.name}: left out, ${missing}`);
      continue;
    }
    const before = performance.now();
    runs.push({ host: host.name, ...(await host.run({ only, quick })) });
    console.log(`\n${host.name} took ${((performance.now() - before) / 1000).toFixed(0)} s`);
  }
  console.log(`\n${tableLines(runs).join('\n')}`);
  console.log('\nmeasured, and after "of" the aim; "!" marks what is below it');
  console.log(`\nthe same of the least times, which other work on the machine moves less:\n${tableLines(runs, 'minMs').join('\n')}`);
  const text = `${JSON.stringify({ format: 'relpos-bench-peers', ...about, runs }, null, 2)}\n`;
  const files = [json, record && here(`../results/${about.date.slice(0, 10)}-table.json`)].filter(Boolean);
  for (const file of files) writeFileSync(file, text);
}
