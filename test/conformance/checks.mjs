// What must hold of the findings: every host gives the same bits on every number of threads, and has the threads it says it has.
import process from 'node:process';
import { hosts } from './hosts.mjs';
import { makeProject } from './project.mjs';
import { smooth } from './smooth.mjs';
import { table } from './table.mjs';

/** The outcome of one check; `error` says what is wrong, and is missing if nothing is. */
const check = (name, error) => ({ name, ...(error ? { error } : {}) });

/** Names on which two sets of hashes differ. */
const differences = (a, b) => [...new Set([...Object.keys(a), ...Object.keys(b)])].filter((name) => a[name] !== b[name]);

/** What is wrong with the threads of a row: fewer or more than there must be, or fewer than asked for without the reason. */
function wrongThreads({ asked, expected, capabilities: { threads, reason } }) {
  if (threads !== expected.threads) return `it has ${threads}: ${reason}`;
  if (threads === asked) return undefined;
  if (!reason) return `${asked} were asked for, and no reason is given`;
  return expected.reason && !expected.reason.test(reason) ? `the reason is "${reason}", not of the kind ${expected.reason}` : undefined;
}

/** Checks one row: the runtime it claims, no failed case, the threads expected, and the reference's bits. */
function checkRow(row, runtime, reference) {
  const { host, context, asked, expected, capabilities, hashes, failures, frames } = row;
  const name = `${host}, ${context}, ${asked} asked`;
  const failed = Object.entries(failures).map(([at, error]) => `${at}: ${error}`);
  const different = differences(hashes, reference);
  return [
    check(`${name}: is ${runtime}`, capabilities.runtime !== runtime && `it is ${capabilities.runtime} ${capabilities.version}`),
    check(`${name}: no case fails`, failed.join('\n')),
    check(`${name}: ${expected.threads} thread(s)`, wrongThreads(row)),
    check(
      `${name}: ${Object.keys(hashes).length} hashes are the reference's`,
      different.length && `they differ in ${different.join(', ')}`,
    ),
    ...(frames ? [check(`${name}: draws during a call`, !smooth(frames) && JSON.stringify(frames))] : []),
  ];
}

/** Runs one host and checks what it finds; whatever is thrown is a failed check. */
async function checkHost(host, project, rows, notes) {
  try {
    const found = await host.run(project);
    rows.push(...found.rows);
    notes.push(...(found.notes ?? []));
    const reference = rows[0].hashes;
    return [...found.rows.flatMap((row) => checkRow(row, host.runtime, reference)), ...(found.checks ?? [])];
  } catch (error) {
    return [check(`${host.name} runs`, String(error.stack ?? error))];
  }
}

/** All checks, on the packed library, of the hosts of these names (all unless given; the reference always). Prints the table. */
export async function conformance(tarball, names = hosts.map(({ name }) => name)) {
  const unknown = names.filter((name) => !hosts.some((host) => host.name === name));
  if (unknown.length) throw new Error(`unknown hosts: ${unknown.join(', ')}; there are ${hosts.map(({ name }) => name).join(', ')}`);
  const project = await makeProject(tarball);
  const checks = [];
  const rows = [];
  const notes = [];
  const absent = [];
  try {
    for (const host of hosts.filter(({ name }, n) => n === 0 || names.includes(name))) {
      const missing = host.missing();
      if (missing === undefined) checks.push(...(await checkHost(host, project, rows, notes)));
      else absent.push({ name: host.name, missing });
    }
  } finally {
    await project.remove();
  }
  console.log(`\n${[table(rows, absent), ...notes].join('\n')}\n`);
  // Where everything must be, what is not is a failure.
  if (process.env.CI === 'true') checks.push(...absent.map(({ name, missing }) => check(`${name} is here`, missing)));
  return checks;
}
