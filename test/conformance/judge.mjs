// What must hold of the findings: every host gives the same bits on every number of threads, and has the threads it says it has.
import process from 'node:process';
import { smooth } from './smooth.mjs';

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
async function checkHost(host, project, found) {
  try {
    const { rows, checks = [], notes = [] } = await host.run(project);
    found.rows.push(...rows);
    found.notes.push(...notes);
    const reference = found.rows[0]?.hashes;
    const any = check(`${host.name} runs`, !Object.keys(rows[0]?.hashes ?? {}).length && 'it found nothing');
    return [any, ...rows.flatMap((row) => checkRow(row, host.runtime, reference)), ...checks];
  } catch (error) {
    return [check(`${host.name} runs`, String(error.stack ?? error))];
  }
}

/** Runs hosts, the first of which is the one whose bits the others must give: the checks, and the rows, notes and absent hosts to print. */
export async function judge(hosts, project) {
  const found = { checks: [], rows: [], notes: [], absent: [] };
  for (const host of hosts) {
    const missing = host.missing();
    if (missing === undefined) found.checks.push(...(await checkHost(host, project, found)));
    else found.absent.push({ name: host.name, missing });
  }
  // Where everything must be, what is not is a failure.
  if (process.env.CI === 'true') found.checks.push(...found.absent.map(({ name, missing }) => check(`${name} is here`, missing)));
  return found;
}
