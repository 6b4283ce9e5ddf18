#!/usr/bin/env node
// The command line.
import process from 'node:process';
import { UsageError } from './args.ts';
import { Stopped, say } from './common.ts';
import { DIGEST_HELP, digest } from './digest.ts';
import { EMBED_HELP, embed } from './embed.ts';
import { STATUS_HELP, status } from './status.ts';
import { WORK_HELP, work } from './work.ts';

const COMMANDS: Readonly<Record<string, { readonly run: (args: readonly string[]) => Promise<number>; readonly help: string; readonly summary: string }>> = {
  embed: { run: embed, help: EMBED_HELP, summary: 'embed a corpus by the workers of a queue' },
  work: { run: work, help: WORK_HELP, summary: 'be a worker' },
  status: { run: status, help: STATUS_HELP, summary: 'what is under way' },
  digest: { run: digest, help: DIGEST_HELP, summary: 'the checksum of a model' },
};

const USAGE = `relpos-bulk: embeddings of millions of texts, by any number of machines, over BullMQ on Redis or Valkey

${Object.entries(COMMANDS)
  .map(([name, { summary }]) => `  relpos-bulk ${name.padEnd(8)} ${summary}`)
  .join('\n')}
  relpos-bulk <command> --help

On one machine, with a Redis on its own port:

  relpos-bulk work --model models/minilm &
  relpos-bulk embed corpus.jsonl.gz --model models/minilm --out vectors
`;

async function main([name = '--help', ...args]: readonly string[]): Promise<number> {
  if (name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(USAGE);
    return 0;
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  try {
    if (!command) throw new UsageError(`there is no command "${name}"`);
    if (args.includes('--help') || args.includes('-h')) {
      process.stdout.write(command.help);
      return 0;
    }
    return await command.run(args);
  } catch (error) {
    if (error instanceof Stopped) return error.code;
    say(`relpos-bulk: ${error instanceof Error ? error.message : String(error)}`);
    if (!(error instanceof UsageError)) return 1;
    say(`relpos-bulk ${command ? `${name} ` : ''}--help says what there is.`);
    return 2;
  }
}

process.exitCode = await main(process.argv.slice(2));
// Connections that a lost server keeps open must not keep the process.
setTimeout(() => process.exit(), 2000).unref();
