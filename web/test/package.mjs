// relpos-lab as npm hands it out: packed, installed into an empty folder, started by its name.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { killGroup, within } from '../../test/browsers/processes.mjs';

const web = fileURLToPath(new URL('..', import.meta.url));
const START_MS = 30_000;

/** What the package must have, and nothing beside it but the page's assets. */
const WANTED = [
  'package.json',
  'README.md',
  'LICENSE',
  'dist/THIRD-PARTY.md',
  'bin/relpos-lab.mjs',
  'bin/options.mjs',
  'dist/index.html',
  'dist/isolation.js',
];
const ALLOWED = /^(package\.json|README\.md|LICENSE|bin\/[\w-]+\.mjs|dist\/.+)$/;

const check = (name, error) => ({ name: `relpos-lab: ${name}`, ...(error && { error }) });

/** Packs the built page and installs it into a folder of its own. */
function install(folder) {
  const words = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder];
  const [{ filename, files }] = JSON.parse(execFileSync('npm', words, { cwd: web, encoding: 'utf8' }));
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'visitor', private: true }));
  execFileSync('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', filename], { cwd: folder });
  return files.map(({ path }) => path);
}

function contentsCheck(files) {
  const absent = WANTED.filter((path) => !files.includes(path));
  const odd = files.filter((path) => !ALLOWED.test(path));
  return check('its tarball has what it needs, and no more', [...absent.map((path) => `no ${path}`), ...odd].join('\n'));
}

/** How the command answers to words, with which it ends by itself. */
function answerCheck(folder, words, { status, out = /^$/, err = /^$/ }) {
  const found = spawnSync('npx', ['--offline', 'relpos-lab', ...words], { cwd: folder, encoding: 'utf8', timeout: START_MS });
  const fits = found.status === status && out.test(found.stdout) && err.test(found.stderr);
  return check(
    `"${words.join(' ')}" gives exit code ${status}`,
    fits ? undefined : JSON.stringify([found.status, found.stdout, found.stderr]),
  );
}

/** A port that something else listens on. */
async function takenCheck(folder) {
  const other = createServer();
  await new Promise((resolve) => other.listen(0, '127.0.0.1', resolve));
  const { port } = other.address();
  const found = answerCheck(folder, ['--port', String(port), '--no-open'], {
    status: 1,
    err: new RegExp(`^relpos-lab: port ${port} is taken; --port 0 takes one that is free\n$`),
  });
  other.close();
  return { ...found, name: 'relpos-lab: a port that is taken is one sentence, and exit code 1' };
}

/** `npm run lab` in a clone whose packages nobody installed yet. */
function cloneCheck(folder) {
  const clone = join(folder, 'clone');
  for (const path of ['package.json', 'scripts/lab.mjs', 'test/conformance/install.mjs', 'web/bin/options.mjs'])
    cpSync(join(web, '..', path), join(clone, path));
  const found = spawnSync(process.execPath, ['scripts/lab.mjs', '--no-open'], { cwd: clone, encoding: 'utf8', timeout: START_MS });
  const fits = found.status === 1 && found.stdout === '' && /^npm run lab: [^\n]*"npm ci"[^\n]*\n$/.test(found.stderr);
  const error = fits ? undefined : JSON.stringify([found.status, found.stdout, found.stderr]);
  return { name: 'npm run lab: a clone whose packages are not installed is one sentence, and exit code 1', ...(error && { error }) };
}

const HEADERS = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' };

/** What is wrong with an answer of the server, in words. */
async function wrongAnswer(address, path, type) {
  const response = await fetch(new URL(path, address));
  const body = await response.arrayBuffer();
  if (!response.ok || body.byteLength === 0) return `${path}: ${response.status}, ${body.byteLength} bytes`;
  if (!response.headers.get('content-type')?.startsWith(type)) return `${path} is ${response.headers.get('content-type')}, not ${type}`;
  const missing = Object.entries(HEADERS).filter(([name, value]) => response.headers.get(name) !== value);
  return missing.length ? `${path} has no ${missing.map(([name]) => name).join(', ')}` : undefined;
}

/** Starts the installed command; it serves while `use({ child, address, said, ended })` runs. */
async function serving(folder, words, env, use) {
  // Not by npx, which ends of a signal itself, whatever its command does.
  const program = join(folder, 'node_modules/.bin/relpos-lab');
  const child = spawn(program, ['--port', '0', ...words], { detached: true, stdio: ['ignore', 'pipe', 'pipe'], env });
  const ended = new Promise((resolve) => child.once('exit', (code, signal) => resolve(signal ?? code)));
  const said = { out: '', err: '' };
  child.stderr.setEncoding('utf8').on('data', (text) => {
    said.err += text;
  });
  try {
    const started = new Promise((resolve, reject) => {
      child.stdout.setEncoding('utf8').on('data', (text) => {
        said.out += text;
        const found = /^Position Lab: (\S+)\n/.exec(said.out)?.[1];
        if (found) resolve(found);
      });
      ended.then((code) => reject(new Error(`it ended with ${code}: ${said.err}`)));
    });
    return await use({ child, address: await within(START_MS, 'the start of relpos-lab', started), said, ended });
  } finally {
    killGroup(child.pid);
  }
}

/** Waits until something is so; false if it is not in time. */
async function soon(isSo) {
  for (const end = Date.now() + START_MS; Date.now() < end; await sleep(50)) if (isSo()) return true;
  return false;
}

/** The command opens what the desktop calls its browser; here that is a script, or a program that fails. */
async function openingChecks(folder) {
  if (process.platform !== 'linux') return [];
  const [browser, opened] = [join(folder, 'browser'), join(folder, 'opened')];
  writeFileSync(browser, `#!/bin/sh\nprintf %s "$1" > ${opened}\n`, { mode: 0o755 });
  const env = (program) => ({ ...process.env, DISPLAY: '', WAYLAND_DISPLAY: '', XDG_CURRENT_DESKTOP: 'X-Generic', BROWSER: program });
  const there = await serving(folder, [], env(browser), async ({ address, said }) => {
    const isThere = await soon(() => existsSync(opened) && readFileSync(opened, 'utf8') !== '');
    return isThere && readFileSync(opened, 'utf8') === address ? undefined : `${address} was not opened; ${said.err}`;
  });
  const absent = await serving(folder, [], env('false'), async ({ said }) => {
    const isSaid = await soon(() => said.err.endsWith('\n'));
    return isSaid && said.err === 'relpos-lab: no browser could be opened here; open the address by hand\n'
      ? undefined
      : said.err || 'nothing is said';
  });
  return [check('opens its address in the browser', there), check('says so where no browser can be opened, and goes on', absent)];
}

/** The command serves the page until it is interrupted. */
const servingChecks = (folder, files) =>
  serving(folder, ['--no-open'], process.env, async ({ child, address, ended }) => {
    const some = (pattern) => files.find((path) => pattern.test(path))?.replace(/^dist\//, '') ?? `nothing like ${pattern}`;
    const wrong = await Promise.all([
      wrongAnswer(address, '', 'text/html'),
      wrongAnswer(address, 'isolation.js', 'text/javascript'),
      wrongAnswer(address, some(/^dist\/assets\/.*\.js$/), 'text/javascript'),
      wrongAnswer(address, some(/^dist\/assets\/.*\.css$/), 'text/css'),
      wrongAnswer(address, some(/^dist\/models\/.*\.json$/), 'application/json'),
    ]);
    const outside = await Promise.all(['nothing.js', '..%2fpackage.json', '%2e%2e/package.json'].map((path) => fetch(address + path)));
    const loopback = /^http:\/\/127\.0\.0\.1:\d+\/$/.test(address);
    child.kill('SIGINT');
    const code = await within(START_MS, 'the end of relpos-lab', ended);
    return [
      check('serves on the loopback interface', loopback ? undefined : address),
      check('serves the page with the headers of isolation', wrong.filter(Boolean).join('\n')),
      check(
        'serves nothing else',
        outside.some(({ status }) => status !== 404) ? outside.map(({ status, url }) => `${status} ${url}`).join('\n') : undefined,
      ),
      check('ends when it is interrupted', code === 0 ? undefined : `exit code ${code}`),
    ];
  });

/** All checks of the package. */
export async function packageChecks() {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'relpos-lab-')));
  try {
    const files = install(folder);
    return [
      contentsCheck(files),
      answerCheck(folder, ['--help'], { status: 0, out: /--port 8080[\s\S]*--no-open/ }),
      answerCheck(folder, ['--prot', '1'], { status: 2, err: /^relpos-lab: .*--prot/ }),
      answerCheck(folder, ['8080'], { status: 2, err: /^relpos-lab: .*8080/ }),
      answerCheck(folder, ['--port', '70000'], { status: 2, err: /^relpos-lab: --port expected a number from 0 to 65535, got "70000"/ }),
      await takenCheck(folder),
      cloneCheck(folder),
      ...(await servingChecks(folder, files)),
      ...(await openingChecks(folder)),
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
