// Chromium and Firefox, headless, driven by puppeteer: the one by its own protocol, the other by WebDriver BiDi.
import { createRequire } from 'node:module';
import process from 'node:process';
import { killGroup, temporaryFolder, tries, within } from './processes.mjs';

const START_MS = 60_000;
const CLOSE_MS = 5000;
/** No answer of a page takes longer; a suite says sooner what is late in it. */
const ANSWER_MS = 600_000;

function load() {
  return createRequire(new URL('../runtimes/package.json', import.meta.url))('puppeteer-core');
}

/** Starts a browser that says it is `product`; `options` are puppeteer's. */
export function launchWithPuppeteer(product, options) {
  return tries(async () => {
    const home = temporaryFolder(product.toLowerCase());
    try {
      const browser = await load().launch({
        ...options,
        userDataDir: `${home.path}/profile`,
        env: { ...process.env, HOME: home.path, XDG_CONFIG_HOME: home.path, XDG_CACHE_HOME: home.path },
        headless: true,
        timeout: START_MS,
        protocolTimeout: ANSWER_MS,
      });
      return await started(product, browser, home);
    } catch (error) {
      home.remove();
      throw error;
    }
  });
}

async function started(product, browser, home) {
  const close = async () => {
    const { pid } = browser.process();
    await within(CLOSE_MS, `the end of ${product}`, browser.close()).catch(() => {});
    killGroup(pid);
    home.remove();
  };
  try {
    const version = (await browser.version()).replace(/^Headless/, '');
    const [, named, number] = /^(\w+)\/(.*)$/.exec(version) ?? [];
    if (named?.toLowerCase() !== product.toLowerCase()) throw new Error(`this is ${version}, not ${product}`);
    return { version: number, open: (url) => open(browser, url), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function open(browser, url) {
  const page = await browser.newPage();
  page.setDefaultTimeout(START_MS);
  await page.goto(url);
  return {
    evaluate: (expression) => page.evaluate(expression),
    async press(key, { shift = false } = {}) {
      if (shift) await page.keyboard.down('Shift');
      await page.keyboard.press(key);
      if (shift) await page.keyboard.up('Shift');
    },
    close: () => page.close(),
  };
}
