// The built page driven in browsers: node web/test/main.mjs [chromium firefox webkit] [--panel name]. The last line counts what passed and failed.
import process from 'node:process';
import { browsers } from '../../test/browsers/index.mjs';
import { commandLine } from '../../test/words.mjs';
import { driven, tests } from './driven.mjs';

const names = tests.map(({ name }) => name);
const usage = `node web/test/main.mjs [browser ...] [--panel name]

Drives the page as it was built in web/dist, panel by panel.

  browser ...   in these: ${browsers.map(({ name }) => name).join(', ')}; else in all
  --panel name  the test of this panel alone: ${names.join(', ')}
  --help        this`;

const { values, positionals } = commandLine({
  usage,
  kind: 'browsers',
  names: browsers.map(({ name }) => name),
  options: { panel: { type: 'string' } },
});
if (values.panel !== undefined && !names.includes(values.panel)) {
  console.error(`unknown panel: ${values.panel}; there are ${names.join(', ')}\n\n${usage}`);
  process.exit(2);
}

const checks = await driven(positionals, values.panel);
const failed = checks.filter(({ error }) => error);
for (const { name, error } of failed) console.log(`\nFAILED ${name}\n${error}`);
console.log(`\n${checks.length - failed.length} passed, ${failed.length} failed`);
process.exitCode = failed.length || checks.length === 0 ? 1 : 0;
