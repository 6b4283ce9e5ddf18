// Reads a whole checkpoint by way of the loader, and says what came.
import { openCheckpoint } from '../../../src/models/checkpoint.ts';
import type { Loading } from '../../../src/models/source.ts';
import type { LoadProgress, TensorPiece, Weights } from '../../../src/models/weights.ts';

export const QUICK = { failures: 3, pause: 1, stall: 2000 };

export interface Read {
  readonly config: unknown;
  readonly tensors: Map<string, Uint8Array>;
  readonly order: readonly string[];
  readonly progress: readonly LoadProgress[];
  /** Rows and whether it is the last one, of each piece. */
  readonly pieces: readonly (readonly [name: string, row: number, rows: number, last: boolean])[];
}

/** Every tensor as its pieces give it. */
export async function readAll(given: unknown, loading: Partial<Loading> = {}, names?: readonly string[]): Promise<Read> {
  const checkpoint = await openCheckpoint({ where: 'loadEncoder', patience: QUICK, ...loading }, 'model', given);
  const weights = await checkpoint.weights();
  try {
    return { config: checkpoint.config, ...(await collect(weights, names ?? weights.names)) };
  } finally {
    await weights.close();
  }
}

async function collect(weights: Weights, names: readonly string[]): Promise<Omit<Read, 'config'>> {
  const parts = new Map<string, Uint8Array[]>();
  const progress: LoadProgress[] = [];
  const pieces: (readonly [string, number, number, boolean])[] = [];
  for await (const piece of weights.stream(names, (seen) => progress.push(seen))) {
    const { tensor, row, rows, last } = piece;
    pieces.push([tensor.name, row, rows, last]);
    parts.set(tensor.name, [...(parts.get(tensor.name) ?? []), copyOf(piece)]);
  }
  const tensors = new Map([...parts].map(([name, own]) => [name, new Uint8Array(Buffer.concat(own))]));
  return { tensors, order: [...parts.keys()], progress, pieces };
}

/** What a piece has at its time: a copy, since its bytes are the next one's soon. */
function copyOf({ data }: TensorPiece): Uint8Array {
  if (data.byteOffset !== 0) throw new Error(`a piece begins at byte ${data.byteOffset} of its buffer`);
  return data.slice();
}
