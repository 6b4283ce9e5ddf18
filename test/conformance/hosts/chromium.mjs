// The system's Chromium, headless: pages that load the packed library over HTTP, with and without the headers that let them share memory.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installed } from '../install.mjs';
import { NOT_ISOLATED, servePages } from './pages.mjs';

const THREADS = [1, 2, 3, 5];
const PROGRAMS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

const program = () => PROGRAMS.find(existsSync);

function missing() {
  if (!program()) return `none of ${PROGRAMS.join(', ')} is a file`;
  return existsSync(installed('puppeteer-core')) ? undefined : 'puppeteer-core is not installed';
}

/** The rows of one page, an engine for each number of threads. */
async function rowsOf(browser, address, { context, path, threads, expected }) {
  const page = await browser.newPage();
  await page.goto(`${address}${path}`);
  await page.waitForFunction('globalThis.findings !== undefined', { timeout: 60_000 });
  const version = (await browser.version()).replace(/^.*\//, '');
  const rows = [];
  for (const asked of threads) {
    const found = await page.evaluate(`findings(${asked})`);
    rows.push({ ...found, host: 'chromium', version, context, asked, expected: expected ?? { threads: asked } });
  }
  await page.close();
  return rows;
}

const CONTEXTS = [
  { context: 'isolated page', path: '/isolated', threads: THREADS },
  { context: 'page', path: '/plain', threads: [2], expected: { threads: 1, reason: NOT_ISOLATED } },
];

async function run(project) {
  const { launch } = createRequire(installed('puppeteer-core/package.json'))('puppeteer-core');
  const userDataDir = mkdtempSync(join(tmpdir(), 'relpos-chromium-'));
  const server = await servePages(project);
  const browser = await launch({ executablePath: program(), args: FLAGS, userDataDir, headless: true });
  try {
    const version = await browser.version();
    if (!version.startsWith('HeadlessChrome/') && !version.startsWith('Chrome/')) throw new Error(`this is ${version}, not Chromium`);
    const rows = [];
    for (const context of CONTEXTS) rows.push(...(await rowsOf(browser, `http://127.0.0.1:${server.address().port}`, context)));
    return { rows };
  } finally {
    await browser.close();
    server.close();
    rmSync(userDataDir, { recursive: true, force: true });
  }
}

export const chromium = { name: 'chromium', runtime: 'browser', missing, run };
