#!/usr/bin/env node
import { realpathSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { RelposError } from '../arguments/errors.ts';
import { optionsHelp, parseCommand, unknown } from './args.ts';
import { attend } from './attend.ts';
import { bench } from './bench.ts';
import type { Command } from './command.ts';
import { doctor } from './doctor.ts';
import { embed } from './embed.ts';
import { encodings } from './encodings.ts';
import { permissionWanted, reason } from './files.ts';
import { generate } from './generate.ts';
import { report } from './html.ts';
import { inspect } from './inspect.ts';
import { type CliIo, EXIT, InputError } from './io.ts';
import { pack } from './pack.ts';
import { oneLine } from './text.ts';
import { version } from './version.ts';

export type { CliIo } from './io.ts';

const COMMANDS: readonly Command[] = [attend, bench, doctor, embed, encodings, generate, inspect, pack, report];
const HELP_OPTION = { help: { kind: 'flag', short: 'h', help: 'print this' } } as const;

/**
 * Runs one command line, without the program's own name.
 *
 * @returns the exit code: 0 done, 1 something failed that the user cannot mend or a result is not as expected, 2 a wrong command line or input, 130 interrupted.
 */
export async function run(argv: readonly string[], io: CliIo): Promise<number> {
  try {
    return await dispatch(argv, io);
  } catch (error) {
    const { message, code } = io.signal.aborted ? { message: 'interrupted', code: EXIT.interrupted } : explain(error);
    io.stderr(`relpos: ${oneLine(message)}\n`);
    return code;
  }
}

async function dispatch(argv: readonly string[], io: CliIo): Promise<number> {
  const [first, ...rest] = argv;
  if (first === undefined) {
    io.stderr(overview());
    return EXIT.usage;
  }
  if (first === '--version' || first === '-V') return print(`${version()}\n`, io);
  if (first === '--help' || first === '-h' || first === 'help') {
    return print(rest[0] === undefined ? overview() : commandHelp(commandNamed(rest[0])), io);
  }
  const command = commandNamed(first);
  if (rest.includes('--help') || rest.includes('-h')) return print(commandHelp(command), io);
  return command.run(parseCommand(command.name, rest, command.options), io);
}

function print(text: string, io: CliIo): number {
  io.stdout(text);
  return EXIT.ok;
}

function commandNamed(name: string): Command {
  const command = COMMANDS.find((candidate) => candidate.name === name);
  if (command !== undefined) return command;
  if (name.startsWith('-')) throw unknown('option', name, '', ['--help', '--version']);
  throw unknown('command', name, '', [...COMMANDS.map((candidate) => candidate.name), 'help']);
}

function overview(): string {
  const width = Math.max(...COMMANDS.map(({ name }) => name.length)) + 2;
  return `relpos ${version()}: relative position encodings and attention on the CPU

Usage: relpos <command> [options]

Commands:
${COMMANDS.map(({ name, summary }) => `  ${name.padEnd(width)}${summary}`).join('\n')}

  relpos <command> --help teaches a command; relpos --version prints the version.

Exit codes: 0 done, 1 failed or not as expected, 2 wrong command line or input, 130 interrupted.
`;
}

function commandHelp({ name, usage, about, options, examples }: Command): string {
  return `Usage: relpos ${name} ${usage}

${about}

Options:
${optionsHelp({ ...options, ...HELP_OPTION })}

Examples:
${examples}
`;
}

/** Errors of state that another input mends. */
const MENDABLE: readonly string[] = ['out-of-memory', 'bad-checkpoint', 'unreadable', 'unwritable', 'missing-package'];

/** An error as one line and an exit code. The library's own argument errors begin with the name of what was called. */
function explain(error: unknown): { message: string; code: number } {
  if (error instanceof InputError) return { message: error.message, code: EXIT.usage };
  if (error instanceof RelposError) return { message: error.message, code: MENDABLE.includes(error.code) ? EXIT.usage : EXIT.failure };
  const isArgument = (error instanceof TypeError || error instanceof RangeError) && /^[\w.]+: "/.test(error.message);
  if (isArgument) return { message: error.message, code: EXIT.usage };
  const denied = permissionWanted(error);
  if (denied !== undefined) return { message: `${(error as Error).message.split(', run again')[0]}: ${denied}`, code: EXIT.usage };
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return { message: `unexpected ${text}`, code: EXIT.failure };
}

/** Runs the process's own command line. The first interrupt stops the work cleanly, a second one ends the process at once. */
async function main(): Promise<void> {
  const interrupt = new AbortController();
  let code: number | undefined;
  const stop = (signalCode: number) => (): void => {
    code = signalCode;
    interrupt.abort();
  };
  const [onInterrupt, onTerminate] = [stop(130), stop(143)];
  process.once('SIGINT', onInterrupt);
  process.once('SIGTERM', onTerminate);
  let unwritten = false;
  const onUnwritten = (error: NodeJS.ErrnoException): void => {
    // A reader that closes its end early, such as head, is no failure.
    if (unwritten || error.code === 'EPIPE') return;
    unwritten = true;
    process.exitCode ||= EXIT.failure;
    process.stderr.write(`relpos: cannot write the output: ${oneLine(reason(error))}\n`);
  };
  process.stdout.on('error', onUnwritten);
  process.stderr.on('error', () => {}); // There is no other place to say it.
  const result = await run(process.argv.slice(2), {
    stdout: (text) => {
      try {
        process.stdout.write(text);
      } catch (error) {
        onUnwritten(error as NodeJS.ErrnoException); // Deno throws at once.
      }
    },
    stderr: (text) => void process.stderr.write(text),
    stdin: () => process.stdin,
    isTTY: process.stderr.isTTY === true,
    signal: interrupt.signal,
  });
  process.off('SIGINT', onInterrupt);
  process.off('SIGTERM', onTerminate);
  const ended = result === EXIT.interrupted && code !== undefined ? code : result;
  process.exitCode = ended || (unwritten ? EXIT.failure : EXIT.ok);
}

/** Whether this file is the program, not a module of one: npm starts it through a link. */
function isProgram(): boolean {
  const main = (import.meta as { main?: boolean }).main;
  if (main !== undefined) return main;
  const started = process.argv[1];
  try {
    return started !== undefined && realpathSync(started) === realpathSync(fileURLToPath(import.meta.url));
  } catch {
    return false;
  }
}

if (isProgram()) void main();
