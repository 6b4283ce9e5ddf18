// A built app in Chromium, three times: as it is, with the relaxed kernels, and under a strict policy with the `worker` option.
import { serve } from './browser.mjs';

/** Paths of the three pages, and of one without the library if the tool's framework brings scripts of its own. */
const PATHS = { page: '/index.html', relaxed: '/index.html?precision=relaxed', strict: '/strict.html' };

const without = (scripts, others) => new Map([...scripts].filter(([url]) => !others.has(url)));

/** The findings of an app that is served at `url`. */
export async function findingsAt(url, browser, paths = PATHS) {
  const framework = paths.blank ? (await browser.visit(url + paths.blank)).scripts : new Map();
  const page = await browser.visit(url + paths.page);
  const scripts = without(page.scripts, framework);
  const found = [{ way: 'page', threads: 2, result: page.result, scripts }];
  if (paths.relaxed) {
    const relaxed = await browser.visit(url + paths.relaxed);
    found.push({ way: 'page, relaxed', threads: 2, relaxed: true, result: relaxed.result, chunks: without(relaxed.scripts, page.scripts) });
  }
  const strict = await browser.visit(url + paths.strict);
  found.push({ way: 'strict page, worker', threads: 2, result: strict.result });
  return found;
}

/** The findings of an app that lies built in a folder. */
export async function findingsIn(folder, browser) {
  const server = await serve(folder);
  try {
    return await findingsAt(server.url, browser);
  } finally {
    server.close();
  }
}
