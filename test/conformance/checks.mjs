// What must hold of the findings: every runtime gives the same bits on every number of threads, and has the threads it says it has.
import process from 'node:process';
import * as chromium from './chromium.mjs';
import { makeProject } from './project.mjs';
import { commands, doctorOf, findingsOf, isHere } from './runtimes.mjs';

const THREADS = [1, 2, 3, 5];

/** The outcome of one check; `error` says what is wrong, and is missing if nothing is. */
const check = (name, error) => ({ name, ...(error ? { error } : {}) });

/** Names on which two sets of hashes differ. */
const differences = (a, b) => [...new Set([...Object.keys(a), ...Object.keys(b)])].filter((name) => a[name] !== b[name]);

/** Checks one row: no case failed, as many threads as expected, and the reference's bits. */
function checkRow(name, { capabilities, hashes, failures }, expected, reference) {
  const failed = Object.entries(failures).map(([at, error]) => `${at}: ${error}`);
  const different = differences(hashes, reference);
  return [
    check(`${name}: no case fails`, failed.join('\n')),
    check(`${name}: ${expected} thread(s)`, capabilities.threads !== expected && `it has ${capabilities.threads}: ${capabilities.reason}`),
    check(`${name}: ${Object.keys(hashes).length} hashes are the reference's`, different.length && `they differ in ${different.join(', ')}`),
  ];
}

/** A runtime that is not here: a failure where everything must be, else a line of its own. */
function missing(name) {
  if (process.env.CI === 'true') return [check(`${name} is installed`, 'it is not, and CI needs it')];
  console.log(`conformance: ${name} is not installed here; its rows are left out`);
  return [];
}

async function checkCommand(command, project, reference) {
  if (!isHere(command)) return missing(command.name);
  const rows = await findingsOf(command, project, THREADS);
  reference.hashes ??= rows[0].hashes;
  const doctor = await doctorOf(command, project);
  const { runtime, version, threads } = doctor.capabilities;
  console.log(`conformance: ${command.name} is ${runtime} ${version}, ${Object.keys(rows[0].hashes).length} hashes`);
  return [
    ...rows.flatMap((row, n) => checkRow(`${command.name}, ${THREADS[n]} asked`, row, THREADS[n], reference.hashes)),
    check(`${command.name}: doctor finds 2 threads`, threads !== 2 && `it finds ${threads}`),
    check(`${command.name}: doctor passes`, doctor.selfTest.passed !== true && JSON.stringify(doctor.selfTest)),
  ];
}

async function checkChromium(project, reference) {
  if (!chromium.isHere()) return missing('chromium');
  const { isolated, plain } = await chromium.findingsOf(project, THREADS);
  const { runtime, version } = isolated[0].capabilities;
  const { reason = '' } = plain[0].capabilities;
  console.log(`conformance: chromium is ${runtime} ${version}, ${Object.keys(isolated[0].hashes).length} hashes`);
  return [
    ...isolated.flatMap((row, n) => checkRow(`chromium isolated, ${THREADS[n]} asked`, row, THREADS[n], reference.hashes)),
    ...checkRow('chromium not isolated, 2 asked', plain[0], 1, reference.hashes),
    check('chromium not isolated: the reason names the headers', !reason.includes('Cross-Origin-Embedder-Policy') && `it is "${reason}"`),
  ];
}

/** All checks, on the packed library. */
export async function conformance(tarball) {
  const project = await makeProject(tarball);
  const reference = {};
  const checks = [];
  const guarded = async (name, run) => {
    try {
      checks.push(...(await run()));
    } catch (error) {
      checks.push(check(`${name} runs`, String(error.stack ?? error)));
    }
  };
  try {
    for (const command of commands) await guarded(command.name, () => checkCommand(command, project, reference));
    await guarded('chromium', () => checkChromium(project, reference));
  } finally {
    project.remove();
  }
  return checks;
}
