// The runtimes, each behind `{ name, missing(), run(folder, options) }`. `folder` is a project with the packed library installed; the options are
// those of `bench` that go through JSON, and the numbers of threads; a run gives a result of `bench`.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { browsers } from '../../test/browsers/index.mjs';
import { serveNewest, workerd } from '../../test/conformance/hosts/workerd.mjs';
import { installed } from '../../test/conformance/install.mjs';
import { servePage } from './pages.mjs';

/** Longest run, in milliseconds. */
const PATIENCE = 600_000;

/** A program that runs `relpos bench` as its users do. */
function command(name, program, flags = []) {
  return {
    name,
    missing: () => (existsSync(program) ? undefined : `${program} is no file`),
    async run(folder, { threads, precision, quick, only }) {
      const cli = join(folder, 'node_modules/relpos/dist/cli/main.js');
      const words = [
        ...flags,
        cli,
        'bench',
        '--json',
        '-',
        '--threads',
        threads.join(),
        '--precision',
        precision,
        ...(quick ? ['--quick'] : []),
        ...(only ? ['--only', only] : []),
      ];
      const { stdout } = await promisify(execFile)(program, words, { cwd: folder, timeout: PATIENCE, maxBuffer: 2 ** 26 });
      return JSON.parse(stdout);
    },
  };
}

/** What people call it; its version the driver tells, since pages are told less than that. */
const NAMES = { chromium: 'Chromium', firefox: 'Firefox', webkit: 'WebKitGTK' };

function page(browser) {
  return {
    name: browser.name,
    missing: () => browser.missing().join(', ') || undefined,
    async run(folder, options) {
      const server = await servePage(folder);
      const running = await browser.launch();
      try {
        const opened = await running.open(`http://127.0.0.1:${server.address().port}/`);
        for (let left = 600; !(await opened.evaluate('globalThis.run !== undefined')); left--) {
          if (left === 0) throw new Error('the page did not load the library in a minute');
          await sleep(100);
        }
        const result = await opened.evaluate(`run(${JSON.stringify(options)})`);
        return labelled(result, NAMES[browser.name], running.version);
      } finally {
        await running.close();
        server.close();
      }
    },
  };
}

const labelled = (result, name, version) => ({ ...result, host: { ...result.host, label: `${name} ${version}`, version } });

const inWorkerd = {
  name: 'workerd',
  missing: workerd.missing,
  run: (folder, options) =>
    serveNewest({ folder }, async (address, version) => {
      const response = await fetch(`${address}/?options=${encodeURIComponent(JSON.stringify(options))}`, {
        signal: AbortSignal.timeout(PATIENCE),
      });
      if (!response.ok) throw new Error(await response.text());
      return labelled(await response.json(), 'workerd', version);
    }),
};

const running = `node${process.versions.node.split('.')[0]}`;

/** All of them, in the order of the table. */
export const hosts = [
  command(running, process.execPath),
  ...(running === 'node24' ? [] : [command('node24', installed('node24/bin/node'))]),
  command('deno', installed('.bin/deno'), ['run', '-A']),
  command('bun', installed('.bin/bun')),
  ...browsers.map(page),
  inWorkerd,
];
