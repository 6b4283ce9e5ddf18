// The system's Chromium, headless: pages that load the packed library over HTTP, with and without the headers that let them share memory.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { goldenFolder } from './runtimes.mjs';

const PROGRAM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);
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
const TYPES = { '.mjs': 'text/javascript', '.js': 'text/javascript', '.safetensors': 'application/octet-stream' };
const ISOLATION = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };
const IMPORTS = {
  relpos: '/node_modules/relpos/dist/index.js',
  'relpos/safetensors': '/node_modules/relpos/dist/safetensors/index.js',
};
const PAGE = `<!doctype html><title>relpos</title>
<script type="importmap">${JSON.stringify({ imports: IMPORTS })}</script>
<script type="module" src="/page.mjs"></script>`;

export const isHere = () => PROGRAM !== undefined;

/** Answers `/isolated`, `/plain`, `/golden/…` and the project's files. */
function serve(project) {
  const server = createServer(({ url }, response) => {
    const reply = (type, body, headers = ISOLATION) => response.writeHead(200, { 'Content-Type': type, ...headers }).end(body);
    if (url === '/isolated') return reply('text/html', PAGE);
    if (url === '/plain') return reply('text/html', PAGE, {});
    if (url === '/golden/') {
      return reply('application/json', JSON.stringify(readdirSync(goldenFolder).filter((name) => name.endsWith('.safetensors'))));
    }
    const path = url.startsWith('/golden/') ? join(goldenFolder, url.slice(8)) : join(project.folder, url);
    if (!existsSync(path)) return response.writeHead(404).end();
    return reply(TYPES[extname(path)] ?? 'text/plain', readFileSync(path));
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

/** The findings of an isolated page for each number of threads, and those of a page that is not isolated. */
export async function findingsOf(project, threads) {
  const { launch } = createRequire(new URL('../runtimes/package.json', import.meta.url))('puppeteer-core');
  const userDataDir = mkdtempSync(join(tmpdir(), 'relpos-chromium-'));
  const server = await serve(project);
  const browser = await launch({ executablePath: PROGRAM, args: FLAGS, userDataDir, headless: true });
  try {
    const version = await browser.version();
    if (!version.startsWith('HeadlessChrome/') && !version.startsWith('Chrome/')) throw new Error(`this is ${version}, not Chromium`);
    const open = async (path, counts) => {
      const page = await browser.newPage();
      await page.goto(`http://127.0.0.1:${server.address().port}${path}`);
      await page.waitForFunction('globalThis.findings !== undefined', { timeout: 60_000 });
      const rows = [];
      for (const count of counts) rows.push(await page.evaluate(`findings(${count})`));
      await page.close();
      return rows;
    };
    return { isolated: await open('/isolated', threads), plain: await open('/plain', [2]) };
  } finally {
    await browser.close();
    server.close();
    rmSync(userDataDir, { recursive: true, force: true });
  }
}
