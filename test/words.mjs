// The command line of the scripts that tests are run by: `--help`, and names that there are.
import process from 'node:process';
import { parseArgs } from 'node:util';

/** Prints what was wrong and the usage, and ends. */
function refuse(message, usage) {
  console.error(`${message}\n\n${usage}`);
  process.exit(2);
}

/**
 * What the command line says. `--help` prints the usage and ends with exit code 0; an unknown option or name ends with 2.
 *
 * @param usage what `--help` prints.
 * @param kind  what the names are, for the message: `hosts`.
 * @param names those that there are, or a function that gives them for the names asked for.
 * @param options as `parseArgs` takes them.
 */
export function commandLine({ usage, kind, names, options = {} }) {
  let parsed;
  try {
    parsed = parseArgs({ options: { ...options, help: { type: 'boolean', short: 'h' } }, allowPositionals: true });
  } catch (error) {
    refuse(error.message, usage);
  }
  const { values, positionals } = parsed;
  if (values.help) {
    console.log(usage);
    process.exit(0);
  }
  const known = typeof names === 'function' ? names(positionals) : names;
  const unknown = positionals.filter((name) => !known.includes(name));
  if (unknown.length) refuse(`unknown ${kind}: ${unknown.join(', ')}; there are ${known.join(', ')}`, usage);
  return { values, positionals };
}
