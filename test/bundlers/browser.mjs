// Chromium's pages of what the bundlers made, over HTTP: what the app says, and which scripts the page loads for it.
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';

const PROGRAM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);
const FLAGS = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update'];
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.mjs': 'text/javascript', '.wasm': 'application/wasm' };

/** What lets a page share memory with its workers. */
export const ISOLATION = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };

/** No script and no worker but those of this origin, and compiling WebAssembly; `inline` allows more for what a tool puts into the page. */
export const strict = (inline = '') => ({
  ...ISOLATION,
  'Content-Security-Policy': `default-src 'self'; script-src 'self' 'wasm-unsafe-eval' ${inline}; worker-src 'self'`,
});

export const isHere = () => PROGRAM !== undefined;

/** Scripts inside of a page as a policy names them: by their hashes. */
function inlineScripts(html) {
  const texts = [...html.matchAll(/<script(?![^>]*\ssrc=)[^>]*>([\s\S]*?)<\/script>/g)].map(([, text]) => text);
  return texts.map((text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`).join(' ');
}

/** Serves a folder's files to pages that are isolated; the one called `strict.html` has the strict policy. */
export async function serve(folder) {
  const server = createServer(({ url }, response) => {
    const { pathname } = new URL(url, 'http://localhost');
    const path = join(folder, pathname);
    if (!existsSync(path)) return response.writeHead(404).end();
    const body = readFileSync(path);
    const headers = pathname === '/strict.html' ? strict(inlineScripts(String(body))) : ISOLATION;
    response.writeHead(200, { 'Content-Type': TYPES[extname(path)] ?? 'text/plain', ...headers }).end(body);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

/** A browser. `visit` gives a page's `globalThis.result` and the scripts that were loaded over HTTP, texts by URL. */
export async function openBrowser() {
  const { launch } = createRequire(new URL('../runtimes/package.json', import.meta.url))('puppeteer-core');
  const userDataDir = mkdtempSync(join(tmpdir(), 'relpos-bundlers-'));
  const browser = await launch({ executablePath: PROGRAM, args: FLAGS, userDataDir, headless: true, timeout: 60_000 });
  const close = async () => {
    await browser.close();
    rmSync(userDataDir, { recursive: true, force: true });
  };
  return { visit: (url) => visit(browser, url), close };
}

async function visit(browser, url) {
  const page = await browser.newPage();
  const urls = new Set();
  const said = [];
  page.on('request', (request) => {
    if (request.resourceType() === 'script' && request.url().startsWith('http')) urls.add(request.url());
  });
  page.on('console', (message) => said.push(message.text()));
  page.on('pageerror', (error) => said.push(String(error)));
  try {
    await page.goto(url);
    await page.waitForFunction('globalThis.result !== undefined', { timeout: 60_000 }).catch((error) => {
      throw new Error(`${url}: ${error.message}\n${said.join('\n')}`);
    });
    const result = await page.evaluate('result');
    const scripts = new Map();
    for (const script of urls) scripts.set(script, await (await fetch(script)).text());
    return { result, scripts };
  } finally {
    await page.close();
  }
}
