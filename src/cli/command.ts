import type { OptionSpecs, ParsedArgs } from './args.ts';
import type { CliIo } from './io.ts';

/** One command of `relpos`. */
export interface Command {
  readonly name: string;
  /** One line, for the list of commands. */
  readonly summary: string;
  /** What follows `relpos <name>` in the help. */
  readonly usage: string;
  /** What the help says before and after the options: what the command does, examples that can be pasted. */
  readonly about: string;
  readonly examples: string;
  readonly options: OptionSpecs;
  /** Does it; the result is the exit code. */
  run(args: ParsedArgs, io: CliIo): Promise<number>;
}
