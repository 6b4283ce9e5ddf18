// WebKitGTK's MiniBrowser, driven by WebDriver. It has no headless mode: it draws on a display in memory.

import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import process from 'node:process';
import { startDisplay } from './display.mjs';
import { missingPackages, start, temporaryFolder, tries, within } from './processes.mjs';

const DRIVER = '/usr/bin/WebKitWebDriver';
const START_MS = 60_000;
const CLOSE_MS = 5000;
/** No answer of a page takes longer; a suite says sooner what is late in it. */
const ANSWER_MS = 600_000;

export const webkit = {
  name: 'webkit',
  missing: () => missingPackages({ 'webkit2gtk-driver': [DRIVER], xvfb: ['/usr/bin/Xvfb'] }),
  launch: ({ sharedMemory = true } = {}) => tries(() => launch(sharedMemory)),
};

/** A port that was free a moment ago: the driver can choose one itself, but does not say which. */
function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** The driver's environment, which the browser inherits: no graphics card, no accessibility bus, nothing of the user's; shared memory. */
function environment(display, home, sharedMemory) {
  return {
    ...process.env,
    DISPLAY: display,
    HOME: home,
    XDG_CONFIG_HOME: home,
    XDG_CACHE_HOME: home,
    XDG_DATA_HOME: home,
    GDK_BACKEND: 'x11',
    NO_AT_BRIDGE: '1',
    LIBGL_ALWAYS_SOFTWARE: '1',
    WEBKIT_DISABLE_DMABUF_RENDERER: '1',
    // WebKitGTK has SharedArrayBuffer behind this option alone, whatever the page's headers say.
    ...(sharedMemory && { JSC_useSharedArrayBuffer: '1' }),
  };
}

async function launch(sharedMemory) {
  const undo = [];
  const close = () => {
    for (const step of undo.splice(0).reverse()) step();
  };
  try {
    const home = temporaryFolder('webkit');
    undo.push(home.remove);
    const { display, stop } = await startDisplay();
    undo.push(stop);
    const port = await freePort();
    const { failed, kill } = start(DRIVER, [`--port=${port}`], { env: environment(display, home.path, sharedMemory) });
    undo.push(kill);
    const session = await within(START_MS, 'the start of WebKit', Promise.race([connect(port), failed]));
    const capabilities = await session.getCapabilities();
    return {
      version: capabilities.get('browserVersion'),
      open: (url) => open(session, url),
      close: async () => {
        await within(CLOSE_MS, 'the end of WebKit', session.quit()).catch(() => {});
        close();
      },
    };
  } catch (error) {
    close();
    throw error;
  }
}

const selenium = () => createRequire(new URL('../runtimes/package.json', import.meta.url))('selenium-webdriver');

/** A session of the driver, which starts its own MiniBrowser for it. */
async function connect(port) {
  const { Builder, Capabilities } = selenium();
  const server = `http://127.0.0.1:${port}`;
  while (!(await fetch(`${server}/status`).catch(() => undefined))) await new Promise((resolve) => setTimeout(resolve, 50));
  const builder = new Builder().disableEnvironmentOverrides().usingServer(server);
  const session = await builder.withCapabilities(new Capabilities({ browserName: 'MiniBrowser' })).build();
  await session.manage().setTimeouts({ script: ANSWER_MS, pageLoad: START_MS });
  return session;
}

/** Answers with the value of the expression, or of its promise; what it throws comes as words. */
const script = (expression) => `
  const done = arguments[arguments.length - 1];
  const say = (error) => done({ error: String(error) + '\\n' + (error?.stack ?? '') });
  try {
    Promise.resolve((${expression})).then((value) => done({ value }), say);
  } catch (error) {
    say(error);
  }`;

/** The one window at `url`: a page at a time. */
async function open(session, url) {
  await session.get(url);
  return {
    async evaluate(expression) {
      const { value, error } = await session.executeAsyncScript(script(expression));
      if (error !== undefined) throw new Error(error);
      return value;
    },
    async press(key, { shift = false } = {}) {
      const { Key } = selenium();
      // ArrowLeft is ARROW_LEFT there; a letter is itself.
      const named = Key[key.replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase()] ?? key;
      const keys = session.actions();
      await (shift ? keys.keyDown(Key.SHIFT).sendKeys(named).keyUp(Key.SHIFT) : keys.sendKeys(named)).perform();
    },
    close: () => session.get('about:blank'),
  };
}
