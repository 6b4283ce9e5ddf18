// The pictures of the page in README.md, web/pictures/*.webp, from the built page in Chromium: npm run lab first, then node web/scripts/pictures.mjs.
import { mkdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { serveSite } from '../test/server.mjs';

const MOST_BYTES = 150_000;
const PROGRAM = '/usr/bin/chromium';
const folder = fileURLToPath(new URL('../pictures/', import.meta.url));
const puppeteer = createRequire(new URL('../../test/runtimes/package.json', import.meta.url))('puppeteer-core');

/** What is shown, at which width and height, what is true once it is drawn, and what is moved then: the first call of all took the longest. */
const PICTURES = {
  schemes: {
    hash: '#/schemes?a=t5&b=alibi',
    width: 1280,
    height: 960,
    ready: 'document.querySelectorAll("main canvas").length >= 2',
    move: "lab.set('h, the head that is shown', 1)",
  },
  cell: { hash: '#/cell?a=t5', width: 1280, height: 960, ready: 'document.querySelector("main .cells canvas") !== null' },
};

const server = await serveSite();
const browser = await puppeteer.launch({ executablePath: PROGRAM, args: ['--no-sandbox', '--disable-gpu'], headless: true });
try {
  mkdirSync(folder, { recursive: true });
  for (const [name, { hash, width, height, ready, move }] of Object.entries(PICTURES)) {
    const page = await browser.newPage();
    await page.setViewport({ width, height });
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'light' }]);
    await page.goto(`${server.address}${hash}`);
    await page.waitForFunction(`globalThis.lab.ready() && (${ready})`);
    await page.waitForNetworkIdle();
    if (move) await page.evaluate(move);
    await page.evaluate('lab.pause(1000)');
    const path = `${folder}${name}.webp`;
    await page.screenshot({ path, type: 'webp', quality: 85 });
    const { size } = statSync(path);
    console.log(`${path}: ${size} bytes`);
    if (size > MOST_BYTES) {
      console.error(`${path} has ${size} bytes, and the most is ${MOST_BYTES}`);
      process.exitCode = 1;
    }
    await page.close();
  }
} finally {
  await browser.close();
  server.close();
}
