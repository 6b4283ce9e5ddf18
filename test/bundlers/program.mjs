// Programs as the tools' users run them, but quiet: nothing is measured by their makers, nothing is asked of the network.
import { execFile, spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));

/** The folder that holds the tools' packages and the projects. */
export const root = here('.');
export const tool = (name) => here(`node_modules/.bin/${name}`);
/** Deno and Bun are those of the conformance suite. */
export const runtime = (name) => here(`../runtimes/node_modules/.bin/${name}`);

/** The environment of every tool. Deno keeps what `deno bundle` works with where the installation put it. */
export const ENVIRONMENT = {
  ...process.env,
  NODE_ENV: 'production',
  NODE_OPTIONS: '',
  NO_COLOR: '1',
  DO_NOT_TRACK: '1',
  NEXT_TELEMETRY_DISABLED: '1',
  WRANGLER_SEND_METRICS: 'false',
  WRANGLER_HIDE_BANNER: 'true',
  DENO_NO_UPDATE_CHECK: '1',
  DENO_NO_PROMPT: '1',
  DENO_DIR: join(root, 'node_modules/.deno'),
};

/** Runs a program to its end in a folder; returns what it prints. */
export async function run(program, words, cwd, environment = {}) {
  const options = { cwd, env: { ...ENVIRONMENT, ...environment }, timeout: 300_000, maxBuffer: 2 ** 26 };
  try {
    const { stdout } = await promisify(execFile)(program, words, options);
    return stdout;
  } catch (error) {
    throw new Error(`${program} ${words.join(' ')}: ${error.message}\n${error.stdout}\n${error.stderr}`);
  }
}

/** Starts a program that serves, and waits until it prints its address. */
export async function start(program, words, cwd) {
  const child = spawn(program, words, { cwd, env: ENVIRONMENT, stdio: ['ignore', 'pipe', 'pipe'] });
  let printed = '';
  const ended = new Promise((_, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`${program} ${words.join(' ')} ended with ${code}\n${printed}`)));
    setTimeout(() => reject(new Error(`${program} ${words.join(' ')} gave no address\n${printed}`)), 60_000).unref();
  });
  const address = new Promise((resolve) => {
    const listen = (text) => {
      printed += text;
      const [url] = /http:\/\/(?:localhost|127\.0\.0\.1):\d+/.exec(printed) ?? [];
      if (url) resolve(url);
    };
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', listen);
  });
  ended.catch(() => {});
  const stop = () => {
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill();
    return child.exitCode === null ? gone : undefined;
  };
  try {
    return { url: await Promise.race([address, ended]), stop };
  } catch (error) {
    child.kill();
    throw error;
  }
}

const require = createRequire(import.meta.url);

/** The version of an installed package, or nothing. */
export function versionOf(name) {
  try {
    return require(join(root, 'node_modules', name, 'package.json')).version;
  } catch {
    return undefined;
  }
}

/** The same of a runtime that is a package of test/runtimes. */
export function runtimeVersion(name) {
  try {
    return require(here(`../runtimes/node_modules/${name}/package.json`)).version;
  } catch {
    return undefined;
  }
}
