import { join } from 'node:path';
import process from 'node:process';
import { MANIFEST, manifestOf } from '../bulk/model.ts';
import { writeWhole } from '../store/folder-store.ts';
import { readArgs } from './args.ts';

export const DIGEST_HELP: string = `relpos-bulk digest <folder> [--write]

The checksum of a model: of the list of its files with theirs. A worker on another machine that is given the model's address and this checksum takes
no other model.

  --write             writes that list into the folder as ${MANIFEST}, which must stand beside the files at the address
`;

export async function digest(given: readonly string[]): Promise<number> {
  const args = readArgs(given, { write: 'flag' }, { least: 1, most: 1, what: 'one folder' });
  const [folder] = args.operands as [string];
  const found = await manifestOf(folder);
  if (args.flag('write')) await writeWhole(join(folder, MANIFEST), found.text);
  process.stdout.write(`${found.digest}\n`);
  return 0;
}
