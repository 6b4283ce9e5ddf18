// A reporter of vitest. It prints a line for each file, and what tests print; every test as a check, and what went wrong outside of any, is written as JSON
// to the file that RELPOS_CHECKS names.
import { writeFileSync } from 'node:fs';
import process from 'node:process';
import { stripVTControlCharacters } from 'node:util';

/** A stack without the frames of the test runner. */
const shortened = (stack) => stack.replace(/\n +at [^\n]*\/node_modules\/[^\n]*/g, '');

/** An error as people read it: where it came from, and what differs. */
function told({ name = 'Error', message, stack, diff, cause, type }) {
  const lines = [
    type,
    shortened(stack ?? `${name}: ${message}`),
    diff && stripVTControlCharacters(diff),
    cause && `caused by ${told(cause)}`,
  ];
  return lines.filter(Boolean).join('\n');
}

const failed = (name, errors) => (errors.length ? [{ name, status: 'failed', error: errors.map(told).join('\n') }] : []);

function ofTest(test) {
  const { state, errors } = test.result();
  if (state === 'passed' || state === 'skipped') return { name: test.fullName, status: state };
  return { name: test.fullName, status: 'failed', error: (errors ?? []).map(told).join('\n') || state };
}

/** A module's tests, and what failed around them: at its import, or in the hooks of a suite. */
const ofModule = (module) => [
  ...failed(module.relativeModuleId, module.errors()),
  ...[...module.children.allSuites()].flatMap((suite) => failed(suite.fullName, suite.errors())),
  ...[...module.children.allTests()].map(ofTest),
];

export default class Checks {
  onUserConsoleLog({ content }) {
    process.stdout.write(content);
  }

  onTestModuleEnd(module) {
    const tests = [...module.children.allTests()];
    const seconds = (module.diagnostic().duration / 1000).toFixed(1);
    console.log(`${module.ok() ? '✓' : '✗'} ${module.relativeModuleId}: ${tests.length} tests, ${seconds} s`);
  }

  onTestRunEnd(modules, unhandled) {
    const outside = unhandled.map((error) => ({ name: 'outside of any test', status: 'failed', error: told(error) }));
    writeFileSync(process.env.RELPOS_CHECKS, JSON.stringify([...modules.flatMap(ofModule), ...outside]));
  }
}
