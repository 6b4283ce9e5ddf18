import type { OwnerPort } from '../platform/inside.ts';
import { holdLife } from '../platform/life.ts';
import { BELL, controlView, LIST, noteTrap, READY, SCRATCH, SLOT, STAGE, STAGE_WORDS, STAGES, STRIDE, THREADS } from './control.ts';
import { join, leave } from './gate.ts';
import { isStart, type Report, type Start } from './messages.ts';
import { looksOf, Share, stopTiles, type TileTrap } from './tiles.ts';
import type { RunStage, TileKernel } from './types.ts';

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
    takePart(words, kernels, start);
    if (leave(words, start)) report({ relpos: 'empty' });
  }
}

/** The kernels of this thread's own instances, as they are numbered, or why there are none. */
function instantiate({ memory, modules }: Start): TileKernel[] | string {
  try {
    return modules.flatMap(({ module, kernels }) => {
      const { exports } = new WebAssembly.Instance(module, { env: { memory } });
      return kernels.map((name) => exports[name] as TileKernel);
    });
  } catch (error) {
    return String(error);
  }
}

/** Runs tiles of the open job; a trap stops it for everybody. Called between `join` and `leave`, so the parameters hold still. */
function takePart(words: Int32Array, kernels: readonly TileKernel[], { worker, memory, spins }: Start): void {
  const slot = Atomics.add(words, SLOT, 1);
  if (slot >= word(words, THREADS)) return;
  const stages = word(words, STAGES);
  let list = words;
  const stage = (n: number): RunStage => {
    if (n === 1) list = new Int32Array(memory.buffer, word(words, LIST), STAGE_WORDS * (stages - 1));
    const at = n ? STAGE_WORDS * (n - 1) : STAGE;
    const kernel = kernels[word(list, at)] as TileKernel;
    return { kernel, job: word(list, at + 1), tiles: word(list, at + 2), steps: word(list, at + 3) };
  };
  const rest = (bell: number, looks: number): boolean => {
    if (looks >= looksOf(spins)) Atomics.wait(words, BELL, bell);
    return false;
  };
  try {
    new Share(words, { stages, stage, scratch: word(words, SCRATCH) + slot * word(words, STRIDE), rest }).run(() => false);
  } catch (trap) {
    stopTiles(words);
    noteTrap(words, worker, (trap as TileTrap).tile, (trap as TileTrap).cause);
  }
}

/** A parameter as what all of them are: pointers and counts, never negative. */
function word(words: Int32Array, index: number): number {
  return (words[index] as number) >>> 0;
}
