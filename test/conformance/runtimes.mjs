// The runtimes: how each one runs the conformance module, and whether it is here.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export const goldenFolder = fileURLToPath(new URL('../golden/', import.meta.url));
const installed = (name) => fileURLToPath(new URL(`../runtimes/node_modules/.bin/${name}`, import.meta.url));
const node = `node${process.versions.node.split('.')[0]}`;

/** Runtimes without a page: name, program, arguments before the script. Node is here twice: the one that runs this, and a newer one. */
export const commands = [
  { name: node, program: process.execPath, flags: [] },
  { name: 'node24', program: installed('node'), flags: [] },
  { name: 'deno', program: installed('deno'), flags: ['run', '--allow-all'] },
  { name: 'bun', program: installed('bun'), flags: [] },
].filter(({ name }, index) => index === 0 || name !== node);

export const isHere = ({ program }) => existsSync(program);

/** Runs a script of the project to its end; returns what it prints. */
export async function runScript({ program, flags }, project, ...words) {
  const { stdout } = await promisify(execFile)(program, [...flags, ...words], {
    cwd: project.folder,
    timeout: 180_000,
    maxBuffer: 2 ** 26,
  });
  return stdout;
}

/** The findings of one runtime, one entry for each number of threads. */
export async function findingsOf(command, project, threads) {
  const script = join(project.folder, 'server-side.mjs');
  return JSON.parse(await runScript(command, project, script, command.name, goldenFolder, threads.join()));
}

/** `relpos doctor` with two threads, as a user of the runtime starts it. It prints its findings also when they are bad and it fails. */
export async function doctorOf(command, project) {
  const script = join(project.folder, 'node_modules/relpos/dist/cli/main.js');
  const run = runScript(command, project, script, 'doctor', '--threads', '2', '--json');
  const printed = await run.catch((error) => {
    if (!error.stdout) throw error;
    return error.stdout;
  });
  return JSON.parse(printed);
}
