// Hosts that are programs run from a shell: Node, Deno, Bun. Each runs the entry entries/server-side.mjs.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { installed, unusable } from '../install.mjs';
import { goldenFolder } from '../project.mjs';

const THREADS = [1, 2, 3, 5];

/** Runs a script of the project to its end; returns what it prints. */
export async function runScript({ program, flags }, project, ...words) {
  const { stdout } = await promisify(execFile)(program, [...flags, ...words], {
    cwd: project.folder,
    timeout: 300_000,
    maxBuffer: 2 ** 26,
  });
  return stdout;
}

/** `relpos doctor` with two threads, as a user of the runtime starts it. It prints its findings also when they are bad and it fails. */
async function doctorOf(command, project) {
  const script = join(project.folder, 'node_modules/relpos/dist/cli/main.js');
  const run = runScript(command, project, script, 'doctor', '--threads', '2', '--json');
  const printed = await run.catch((error) => {
    if (!error.stdout) throw error;
    return error.stdout;
  });
  return JSON.parse(printed);
}

/** Nothing, unless the doctor finds fewer than two threads or a self-test that fails. */
async function checkDoctor(command, project) {
  const { capabilities, selfTest } = await doctorOf(command, project);
  const error = capabilities.threads !== 2 || selfTest.passed !== true ? JSON.stringify({ capabilities, selfTest }) : undefined;
  return { name: `${command.name}: doctor finds 2 threads and passes`, ...(error && { error }) };
}

/** The host that a program is: its name, its runtime, the program and the arguments before the script. */
function host(name, runtime, program, flags = []) {
  const command = { name, program, flags };
  return {
    name,
    runtime,
    missing: () => unusable(program),
    async run(project) {
      const script = join(project.folder, 'server-side.mjs');
      const found = JSON.parse(await runScript(command, project, script, name, goldenFolder, THREADS.join()));
      const rows = found.map((row, n) => ({
        ...row,
        host: name,
        version: row.capabilities.version,
        context: 'module',
        asked: THREADS[n],
        expected: { threads: THREADS[n] },
      }));
      return { rows, checks: [await checkDoctor(command, project)] };
    },
  };
}

const running = `node${process.versions.node.split('.')[0]}`;

/** Node is here more than once: the one that runs this comes first, then those of test/runtimes. */
export const commands = [
  host(running, 'node', process.execPath),
  ...['node22', 'node24', 'node26'].filter((name) => name !== running).map((name) => host(name, 'node', installed(`${name}/bin/node`))),
  host('deno', 'deno', installed('.bin/deno'), ['run', '--allow-all']),
  host('bun', 'bun', installed('.bin/bun')),
];
