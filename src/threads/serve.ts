import type { OwnerPort } from '../platform/inside.ts';
import { holdLife } from '../platform/life.ts';
import { controlView, JOB, KERNEL, noteTrap, READY, SCRATCH, SLOT, STEPS, STRIDE, THREADS, TILES } from './control.ts';
import { join, leave } from './gate.ts';
import { isStart, type Report, type Start } from './messages.ts';
import { Share, stopTiles, type TileTrap } from './tiles.ts';
import type { TileKernel } from './types.ts';

/** The life of a worker: one `start` message, then jobs until its group is dismissed. */
export function serve(port: OwnerPort): void {
  port.listen((message) => {
    if (!isStart(message)) return false;
    const begin = (held: boolean): void => work(message, held, (report) => port.post(report));
    if (message.life === undefined) begin(false);
    else void holdLife(message.life).then(begin);
    return true;
  });
}

function work(start: Start, held: boolean, report: (report: Report) => void): void {
  const kernels = instantiate(start);
  if (typeof kernels === 'string') {
    report({ relpos: 'failed', why: kernels });
    return;
  }
  const words = controlView(start.memory, start.control);
  Atomics.add(words, READY, 1);
  report({ relpos: 'ready', held });
  let joined: number | undefined = -1;
  for (;;) {
    joined = join(words, start, joined);
    if (joined === undefined) return;
    takePart(words, kernels, start.worker);
    if (leave(words, start)) report({ relpos: 'empty' });
  }
}

/** This thread's own instance of the kernels in the order of the list, or why there is none. */
function instantiate({ memory, module, kernels }: Start): TileKernel[] | string {
  try {
    const { exports } = new WebAssembly.Instance(module, { env: { memory } });
    return kernels.map((name) => exports[name] as TileKernel);
  } catch (error) {
    return String(error);
  }
}

/** Runs tiles of the open job; a trap stops it for everybody. Called between `join` and `leave`, so the parameters hold still. */
function takePart(words: Int32Array, kernels: readonly TileKernel[], worker: number): void {
  const slot = Atomics.add(words, SLOT, 1);
  if (slot >= word(words, THREADS)) return;
  const kernel = kernels[word(words, KERNEL)] as TileKernel;
  const tiles = word(words, TILES);
  const scratch = word(words, SCRATCH) + slot * word(words, STRIDE);
  try {
    new Share(words, { kernel, job: word(words, JOB), tiles, steps: word(words, STEPS), scratch }).run(() => false);
  } catch (trap) {
    stopTiles(words, tiles);
    noteTrap(words, worker, (trap as TileTrap).tile, (trap as TileTrap).cause);
  }
}

/** A parameter as what all of them are: pointers and counts, never negative. */
function word(words: Int32Array, index: number): number {
  return (words[index] as number) >>> 0;
}
