// Hosts that are browsers: the packed library in pages with and without the headers that let them share memory, in workers, and under policies.
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { browsers } from '../../browsers/index.mjs';
import { within } from '../../browsers/processes.mjs';
import { installed } from '../install.mjs';
import { smooth, smoother } from '../smooth.mjs';
import { servePages } from './pages.mjs';

const NOT_ISOLATED = /"Cross-Origin-Opener-Policy: same-origin" and "Cross-Origin-Embedder-Policy: require-corp"/;
const READY_MS = 60_000;
const ANSWER_MS = 180_000;
/** What a stuck context answers in when it is not, many times over, and how often it is opened. */
const STUCK_MS = 60_000;
const OPENINGS = 3;

/** Where the cases run: the page, what it is asked for, the threads, and what must come of fewer. */
const CONTEXTS = [
  { context: 'isolated page', path: '/isolated', test: 'page', threads: [1, 2, 3, 5] },
  { context: 'page', path: '/plain', test: 'page', threads: [2], expected: { threads: 1, reason: NOT_ISOLATED } },
  { context: 'strict page, own worker', path: '/strict', test: 'own', threads: [2] },
  { context: 'dedicated worker', path: '/isolated', test: 'dedicated', threads: [2], sticks: true },
  { context: 'service worker', path: '/isolated', test: 'service', threads: [2], expected: { threads: 1, reason: /service worker/ } },
];

/** Opens a page and waits until it is ready to be asked. */
async function open(browser, url) {
  const page = await browser.open(url);
  for (const end = Date.now() + READY_MS; !(await page.evaluate('globalThis.tests !== undefined')); await sleep(50)) {
    if (Date.now() > end) throw new Error(`${url} did not run its script`);
  }
  const ask = (test, threads) => within(ANSWER_MS, `${test} on ${threads} threads at ${url}`, page.evaluate(`tests.${test}(${threads})`));
  return { ask, close: () => page.close() };
}

/** How often frames are counted, and how long to wait before counting again: on a machine with other work only the best says what the page does. */
const TRIES = 8;
const REST_MS = 1000;

/** Frames during a long call, the best of some tries. */
async function framesOf(page, threads) {
  let best;
  for (let left = TRIES; left > 0; left--) {
    const frames = await page.ask('frames', threads);
    if (frames.threads !== threads) throw new Error(`frames on ${threads} threads: there are ${frames.threads}`);
    best = best ? smoother(best, frames) : frames;
    if (smooth(best)) break;
    await sleep(REST_MS);
  }
  return best;
}

/** A browser that can be started anew, with the interface of one. */
async function restartable(launch) {
  let browser = await launch();
  return {
    get version() {
      return browser.version;
    },
    open: (url) => browser.open(url),
    close: () => browser.close(),
    async restart() {
      await browser.close();
      browser = await launch();
    },
  };
}

/** Whether an answer was lost by the browser: its driver failed, or it stands still. What a page throws comes as a plain `Error`. */
const isLost = (error, sticks) =>
  error.name === 'WebDriverError' ||
  /Could not parse script result/.test(error.message) ||
  (sticks && /took more than/.test(error.message));

/**
 * What a page answers, and the page. Two browsers lose an answer now and then, neither where the page could help it: Firefox 153, one time in ten to
 * thirty on a loaded machine, never comes back to a worker that makes a worker of a `blob:` URL (the thread stands still within the browser, where no
 * deadline of ours is heard), and WebKit's process for the page, seen twice, ends in the middle, whereupon its driver "could not parse script result" and
 * opens no page any more. The browser is started anew, and that is said.
 */
async function answerOf(host, browser, url, { context, test, sticks }, asked, page) {
  for (let left = OPENINGS - 1; ; left--) {
    try {
      const opened = page ?? (await open(browser, url));
      const answer = opened.ask(test, asked);
      return [await (sticks ? within(STUCK_MS, `${test} on ${asked} threads at ${url}`, answer) : answer), opened];
    } catch (error) {
      if (!left || !isLost(error, sticks)) throw error;
      console.log(`conformance: ${host}, ${context}: started anew, for ${error.message || error.name}`);
      await browser.restart();
      page = undefined;
    }
  }
}

async function rowsOf(host, browser, address, place) {
  const { context, path, threads, expected } = place;
  const url = `${address}${path}`;
  let page;
  const rows = [];
  for (const asked of threads) {
    const [found, opened] = await answerOf(host, browser, url, place, asked, page);
    page = opened;
    const row = { ...found, host, version: browser.version, context, asked, expected: expected ?? { threads: asked } };
    if (context === 'isolated page' && asked <= 2) row.frames = await framesOf(page, asked);
    rows.push(row);
  }
  await page.close();
  return rows;
}

/** One check of what an engine of two threads says on a page; `wrong` tells what is wrong with it. */
async function startCheck(name, browser, url, wrong) {
  const page = await open(browser, url);
  const found = await page.ask('start', 2);
  await page.close();
  return { name, ...(wrong(found) && { error: `it is ${JSON.stringify(found)}` }) };
}

/** What a page hears whose policy forbids workers of inlined source, or WebAssembly. */
async function policyChecks(host, browser, address) {
  return [
    await startCheck(
      `${host}: a strict policy refuses the package's own workers, and the reason names the option`,
      browser,
      `${address}/strict`,
      ({ threads, reason }) => threads !== 1 || !/"worker" option/.test(reason),
    ),
    await startCheck(
      `${host}: a policy that forbids WebAssembly is called that`,
      browser,
      `${address}/forbidden`,
      ({ error }) =>
        error?.code !== 'unsupported-runtime' || !/^the Content-Security-Policy forbids.*'wasm-unsafe-eval'"$/s.test(error.message),
    ),
  ];
}

async function withBrowser(browser, run) {
  try {
    return await run(browser);
  } finally {
    await browser.close();
  }
}

function host({ name, missing, launch }) {
  return {
    name,
    runtime: 'browser',
    missing() {
      const packages = missing();
      if (packages.length) return `Debian's ${packages.join(' and ')}`;
      return ['puppeteer-core', 'selenium-webdriver'].find((module) => !existsSync(installed(module)));
    },
    async run(project) {
      const server = await servePages(project);
      const address = `http://127.0.0.1:${server.address().port}`;
      try {
        const found = await withBrowser(await restartable(launch), async (browser) => {
          const rows = [];
          for (const context of CONTEXTS) rows.push(...(await rowsOf(name, browser, address, context)));
          return { rows, checks: await policyChecks(name, browser, address) };
        });
        if (name === 'webkit') found.checks.push(await withoutSharedMemory(launch, address));
        return found;
      } finally {
        server.closeAllConnections();
        server.close();
      }
    },
  };
}

/** WebKitGTK as it is installed has no SharedArrayBuffer. */
const withoutSharedMemory = async (launch, address) =>
  withBrowser(await launch({ sharedMemory: false }), (browser) =>
    startCheck(
      'webkit: without SharedArrayBuffer one thread, and the reason',
      browser,
      `${address}/isolated`,
      ({ threads, reason }) => threads !== 1 || !/no shared memory/.test(reason),
    ),
  );

export const browserHosts = browsers.map(host);
