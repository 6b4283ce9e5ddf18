/** The Vite app in Chromium, from the development server and built. */
import { join } from 'node:path';
import { build, createServer, type InlineConfig, type PreviewServer, preview, type ViteDevServer } from 'vite';
import { afterAll, beforeAll, test } from 'vitest';
import { type Browser, CHROMIUM, expectText, lastValue, startBrowser } from './browser.ts';
import { describeWith, makeProject } from './project.ts';

describeWith(CHROMIUM, 'a Vite app', () => {
  const host = '127.0.0.1';
  const options: InlineConfig = { root: join(makeProject(), 'vite'), logLevel: 'error', server: { host }, preview: { host } };
  let browser: Browser;
  beforeAll(async () => {
    browser = await startBrowser(CHROMIUM);
  });
  afterAll(() => browser?.close());

  async function expectThreads(server: ViteDevServer | PreviewServer): Promise<void> {
    const page = await browser.newPage();
    await page.goto(server.resolvedUrls?.local[0] as string);
    await expectText(page, new RegExp(`^2 thread\\(s\\); the last value is ${lastValue()}$`));
    await page.close();
    await server.close();
  }

  test('in development', async () => {
    await expectThreads(await (await createServer(options)).listen());
  });

  test('built', async () => {
    await build(options);
    await expectThreads(await preview(options));
  });
});
