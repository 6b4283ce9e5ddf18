// What a folder of a model would take, from the headers of its files.
import { estimate } from 'relpos/models';
import type { Files } from './sources.ts';

/** Bytes of its files, and of memory by type of weights. */
export interface FolderReport {
  readonly stored: number;
  readonly memory: readonly (readonly [weights: 'f32' | 'i8' | 'i4', bytes: number])[];
}

/** @throws RelposError that says what is wrong with the folder */
export async function inspectFolder(files: Files): Promise<FolderReport> {
  const kinds = ['f32', 'i8', 'i4'] as const;
  const memory: (readonly [(typeof kinds)[number], number])[] = [];
  let stored = 0;
  let refused: unknown;
  for (const weights of kinds) {
    try {
      const found = await estimate(files as never, { weights });
      stored = found.stored;
      memory.push([weights, found.total]);
    } catch (error) {
      // What was packed has one type.
      refused = error;
    }
  }
  if (memory.length === 0) throw refused;
  return { stored, memory };
}
