// A program of several commands: help, faults and exit codes.
import process from 'node:process';
import { UsageError } from './args.ts';
import { Stopped, say } from './common.ts';

interface Command {
  readonly run: (args: readonly string[]) => Promise<number>;
  readonly help: string;
  readonly summary: string;
}

interface Program {
  readonly program: string;
  readonly about: string;
  readonly commands: Readonly<Record<string, Command>>;
  readonly example: string;
}

const isHelp = (word: string): boolean => word === '--help' || word === '-h';

/** Milliseconds that connections which a lost server keeps open may hold the process at its end. */
const FAREWELL_MS = 2000;

/** Runs the command of the process's words; what it gives becomes the exit code: 0, 1 for a failure, 2 for wrong words, 128 and more for a stop. */
export async function runCommands(program: Program): Promise<void> {
  process.exitCode = await codeOf(program, process.argv.slice(2));
  setTimeout(() => process.exit(), FAREWELL_MS).unref();
}

async function codeOf({ program, about, commands, example }: Program, [name = '--help', ...args]: readonly string[]): Promise<number> {
  if (isHelp(name) || name === 'help') {
    const list = Object.entries(commands).map(([command, { summary }]) => `  ${program} ${command.padEnd(8)} ${summary}`);
    process.stdout.write(`${program}: ${about}\n\n${list.join('\n')}\n  ${program} <command> --help\n\n${example}`);
    return 0;
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  try {
    if (!command) throw new UsageError(`there is no command "${name}"`);
    if (args.some(isHelp)) {
      process.stdout.write(command.help);
      return 0;
    }
    return await command.run(args);
  } catch (error) {
    if (error instanceof Stopped) return error.code;
    say(`${program}: ${error instanceof Error ? error.message : String(error)}`);
    if (!(error instanceof UsageError)) return 1;
    say(`${program} ${command ? `${name} ` : ''}--help says what there is.`);
    return 2;
  }
}
