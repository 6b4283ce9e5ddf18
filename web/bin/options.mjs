// The command line of relpos-lab, which `npm run lab` reads before it builds anything.
import process from 'node:process';
import { parseArgs } from 'node:util';

const USAGE = `relpos-lab: Position Lab on this computer

  relpos-lab              serves the page on http://127.0.0.1:4173/ and opens it in the browser
  relpos-lab --port 8080  on another port; 0 takes one that is free
  relpos-lab --no-open    opens nothing, prints the address
  relpos-lab --help       this

All is computed in the page, by this machine's processor; nothing leaves it. The folder "dist" of this package is the whole site,
for any host of files. Ctrl+C ends it.
`;

/** The port, and whether a browser is opened; `--help` and what is wrong end the process. */
export function readOptions() {
  let values;
  let port;
  try {
    const options = { port: { type: 'string', default: '4173' }, 'no-open': { type: 'boolean' }, help: { type: 'boolean', short: 'h' } };
    ({ values } = parseArgs({ options }));
    port = Number(values.port);
    if (!/^\d+$/.test(values.port) || port > 65535) throw new Error(`--port expected a number from 0 to 65535, got "${values.port}"`);
  } catch (error) {
    process.stderr.write(`relpos-lab: ${error.message}\nrelpos-lab --help says what there is.\n`);
    process.exit(2);
  }
  if (values.help) {
    process.stdout.write(USAGE);
    process.exit(0);
  }
  return { port, opens: !values['no-open'] };
}
