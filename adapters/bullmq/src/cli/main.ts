#!/usr/bin/env node
// The command line of bulk embedding.
import { DIGEST_HELP, digest } from './digest.ts';
import { EMBED_HELP, embed } from './embed.ts';
import { runCommands } from './run.ts';
import { STATUS_HELP, status } from './status.ts';
import { WORK_HELP, work } from './work.ts';

await runCommands({
  program: 'relpos-bulk',
  about: 'embeddings of millions of texts, by any number of machines, over BullMQ on Redis or Valkey',
  commands: {
    embed: { run: embed, help: EMBED_HELP, summary: 'embed a corpus by the workers of a queue' },
    work: { run: work, help: WORK_HELP, summary: 'be a worker' },
    status: { run: status, help: STATUS_HELP, summary: 'what is under way' },
    digest: { run: digest, help: DIGEST_HELP, summary: 'the checksum of a model' },
  },
  example: `On one machine, with a Redis on its own port:

  relpos-bulk work --model models/minilm &
  relpos-bulk embed corpus.jsonl.gz --model models/minilm --out vectors
`,
});
