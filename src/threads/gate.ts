/**
 * The gate: how one caller and n workers share a job without waiting for workers that never came.
 *
 * One word of shared memory holds five fields, so that each step below is one atomic operation on all of them:
 *
 * ```
 *  30         21 20      13  12       11       10    9        0
 * [ generation  |  epoch  | NOTIFY | MESSAGE | OPEN |  inside  ]
 * ```
 *
 * 1. *Open.* With the gate shut and `inside` = 0 the caller writes the job's parameters, then stores the word with a new epoch and OPEN.
 * 2. *Join.* A worker that sees OPEN and an epoch it has not joined adds one to `inside` by compare-exchange; only then does it read the
 *    parameters and take tiles, by adding to NEXT. Having found no more, it *leaves*: one off `inside`.
 * 3. *Shut.* When the caller finds no more tiles it clears OPEN and waits for `inside` = 0, and for nothing else.
 *
 * Why it is right. Parameters change only while OPEN is clear and `inside` is 0, and whoever reads them was counted by the very exchange
 * that saw OPEN: so a reader's parameters are those of the open job, however late it woke, and nobody takes a tile of one job with the
 * parameters of another. A tile is taken by whoever drew its number from NEXT, hence once. The caller sees `inside` = 0 only after every
 * tile that was drawn is finished, and those that it shut out had drawn none. A worker that the host never schedules is never waited for.
 * Epochs only keep a worker from joining the same job twice: wrap-around can cost it a job it would have shared, never correctness.
 *
 * *Stages.* A job is a list of stages. NEXT numbers the tiles of all of them, stage after stage, and DONE counts those that are finished; both
 * only grow while a job runs. Whoever drew a tile waits until DONE has reached the number of all tiles of earlier stages.
 *
 * - *Order.* What DONE counts may be tiles of any stage; but a tile of a stage runs only after all earlier ones are counted, so that as long as
 *   one tile of a stage is unfinished, no tile of a later one is counted: DONE reaches the sum of the first s stages when, and only when, all
 *   their tiles are finished. The addition to DONE and the load that sees it are sequentially consistent: what the finished tiles wrote is
 *   there for whoever goes on. Scratch holds nothing from stage to stage.
 * - *Who is waited for.* NEXT has passed all tiles of the earlier stages before one of this stage is drawn. So each of them was drawn by a thread
 *   that is inside, or by the caller: a worker that never woke, or that came too late to draw one, is not waited for here either.
 * - *It ends.* Take the earliest stage with a tile that was drawn and is not finished. All stages before it are finished, so the threads that
 *   drew its tiles do not wait, and finish them as soon as they are scheduled. That holds of the caller too: between two slices it may have a tile
 *   in hand, and the others wait until its event loop gives it a turn.
 * - *How one waits.* By looking for some 100 µs if there are cores enough, then asleep on BELL: a worker until it is rung, a caller that may block for as long
 *   as a slice takes, or between two looks around if it is to block anyway; a page goes on looking until its slice ends, and takes a turn. Who
 *   finishes the last tile of a stage rings, and so does a stop. BELL is read before DONE and STOPPED are, and rung after they have changed; a
 *   sleep begins only if it still is what was read: so no ring is missed.
 * - *A stop* (an abort, a trap, a loss) sets STOPPED, puts NEXT beyond all tiles, and rings. Who waits sees it and leaves; who runs a tile leaves at
 *   its next step. A tile that trapped, or whose thread is lost, is never counted, so nobody ever goes on beyond its stage. A loss therefore has to
 *   stop the job, or those who wait for the lost tile would wait for ever: `lose` of worker-group.ts does. A caller that blocks is told of one
 *   by no event, and looks around while it waits for a stage as it does while it waits for the gate.
 * - *Late and lingering.* A worker that outlives a stop, in a long tile, finds STOPPED when it comes back, for nothing else runs on the control
 *   block before it has left or its group is over (6 below). The list of stages beyond the first lies behind the scratch of the job, and is taken,
 *   given back and kept in quarantine with it.
 *
 * *Waking the caller.* It asks by setting MESSAGE or NOTIFY in the shut gate; the same operation tells it whether anybody is inside. If so,
 * the last to leave sees the request in the word that it exchanges: exactly one wake-up for each request, none lost.
 *
 * *Generation.* A group that is replaced or dismissed finds a generation that is not its own, ends, and touches nothing any more, even if
 * the host lets it linger after `terminate()`.
 *
 * *A lost worker.* A thread that its maker ends, that ends itself, or that is not scheduled again never leaves the gate. `inside` alone does
 * not tell who stayed there, so each worker has a word of STATES, [ generation | may be inside ]:
 *
 * 4. Before a worker tries to join it sets its bit by compare-exchange against its own generation; after it left, or failed to join, it
 *    clears the bit likewise. All that it does to the memory of a job it does while its bit is set.
 * 5. A group that loses a worker is dismissed: the gate is shut for good and the generation changes. A worker whose bit is clear by then
 *    never gets in again: the exchange by which it would join expects the word from before.
 * 6. A worker is *over* when its bit is clear or its host says that its thread has ended (handle.ts: which hosts do, and when). A group is
 *    over when all its workers are; only then does another one start, so that nobody else uses the control block meanwhile.
 * 7. From the loss until the group is over the arena is in quarantine: nothing that was allocated at the time of the loss is handed out
 *    again, whoever frees it (arena.ts). And of what the job writes, that which outlives the failed call, an `out` or a cache, refuses its
 *    use with the error `lost`.
 *
 * Why that is enough. A worker writes to the control block and to what the parameters of the job that it joined name. These name only
 * memory that was allocated when the job was opened and is freed after its call has settled. A call settles after its worker has left, or
 * after the loss: so all of it is allocated at the time of the loss, hence in quarantine until the worker cannot write any more; and what
 * is allocated later lies elsewhere. Nothing here is measured in time: a tile may take hours, and a process may be stopped for days. Time
 * enters where a loss is harmless: workers that do not leave for a while after a stop (an abort, a trap) are given up as lost.
 */
import { CALLER, GATE, STATES } from './control.ts';

const INSIDE = 0x3ff;
const OPEN = 1 << 10;
const MESSAGE = 1 << 11;
const NOTIFY = 1 << 12;
const EPOCH_SHIFT = 13;
const EPOCH_MASK = 0xff;
const GENERATION_SHIFT = 21;
const GENERATION_MASK = 0x3ff;

/** The most workers that the gate can count, with a wide margin to its ten bits. */
export const MAX_WORKERS = 255;

const epochOf = (gate: number): number => (gate >> EPOCH_SHIFT) & EPOCH_MASK;
const generationOf = (gate: number): number => gate >> GENERATION_SHIFT;

/** Caller: dismisses every group there is and gives the number of the next one, whose gate is shut. */
export function nextGeneration(words: Int32Array): number {
  const generation = (generationOf(Atomics.load(words, GATE)) + 1) & GENERATION_MASK;
  Atomics.store(words, GATE, generation << GENERATION_SHIFT);
  Atomics.notify(words, GATE);
  return generation;
}

/** Caller: opens the gate for the job whose parameters are written, and wakes up to `wake` sleepers. */
export function open(words: Int32Array, wake: number): void {
  const gate = Atomics.load(words, GATE);
  const epoch = (epochOf(gate) + 1) & EPOCH_MASK;
  Atomics.store(words, GATE, (generationOf(gate) << GENERATION_SHIFT) | (epoch << EPOCH_SHIFT) | OPEN);
  Atomics.notify(words, GATE, wake);
}

/** Caller: lets nobody else in. */
export function shut(words: Int32Array): void {
  Atomics.and(words, GATE, ~OPEN);
}

/** Workers inside. */
export function inside(words: Int32Array): number {
  return Atomics.load(words, GATE) & INSIDE;
}

/** Caller, with the gate shut: whether a message will come from the last to leave; otherwise nobody is inside. */
export function askForMessage(words: Int32Array): boolean {
  return (Atomics.or(words, GATE, MESSAGE) & INSIDE) !== 0;
}

/** Caller, with the gate shut: blocks until nobody is inside, at most `ms` milliseconds; whether that came to pass. */
export function blockUntilEmpty(words: Int32Array, ms: number): boolean {
  const seen = Atomics.load(words, CALLER);
  if ((Atomics.or(words, GATE, NOTIFY) & INSIDE) === 0) return true;
  return Atomics.wait(words, CALLER, seen, ms) !== 'timed-out' || inside(words) === 0;
}

/** A worker as the gate knows it. */
export interface Member {
  readonly generation: number;
  /** Its number, from 1. */
  readonly worker: number;
  /** Turns to spin for the next job before sleeping. */
  readonly spins: number;
}

const outsideState = (generation: number): number => generation << 1;
const insideState = (generation: number): number => (generation << 1) | 1;
/** The state of a worker that may not join. */
const BARRED = -1;

/** Caller: makes the words of a group's workers theirs, before they start. */
export function enroll(words: Int32Array, generation: number, workers: number): void {
  for (let worker = 1; worker <= workers; worker++) Atomics.store(words, STATES + worker, outsideState(generation));
}

/** Caller, with the gate shut since it enrolled the worker: it will never join. */
export function bar(words: Int32Array, worker: number): void {
  Atomics.store(words, STATES + worker, BARRED);
}

/** Caller: whether a worker may be inside; once its group is dismissed, `false` is for good. */
export function maybeInside(words: Int32Array, worker: number, generation: number): boolean {
  return Atomics.load(words, STATES + worker) === insideState(generation);
}

/** Worker: sets or clears its own bit; `false` if the word is not its own any more. */
function mark(words: Int32Array, { worker, generation }: Member, inside: boolean): boolean {
  const [from, to] = inside ? [outsideState(generation), insideState(generation)] : [insideState(generation), outsideState(generation)];
  return Atomics.compareExchange(words, STATES + worker, from, to) === from;
}

/**
 * Worker: waits for an open gate whose epoch is not `joined`, first turning, then asleep, and goes in. Returns the epoch joined, or
 * `undefined` when it is dismissed.
 */
export function join(words: Int32Array, member: Member, joined: number): number | undefined {
  for (let spun = 0; ; ) {
    const gate = Atomics.load(words, GATE);
    if (generationOf(gate) !== member.generation) return undefined;
    if ((gate & OPEN) !== 0 && epochOf(gate) !== joined) {
      if (!mark(words, member, true)) return undefined;
      if (Atomics.compareExchange(words, GATE, gate, gate + 1) === gate) return epochOf(gate);
      mark(words, member, false);
    } else if (spun < member.spins) spun++;
    else Atomics.wait(words, GATE, gate);
  }
}

/** Worker: goes out and, if it is the last and the caller sleeps, wakes it. Whether the caller awaits a message instead. */
export function leave(words: Int32Array, member: Member): boolean {
  const message = goOut(words, member.generation);
  mark(words, member, false);
  return message;
}

function goOut(words: Int32Array, generation: number): boolean {
  for (;;) {
    const gate = Atomics.load(words, GATE);
    if (generationOf(gate) !== generation) return false;
    if (Atomics.compareExchange(words, GATE, gate, gate - 1) !== gate) continue;
    if ((gate & INSIDE) !== 1) return false;
    if ((gate & NOTIFY) !== 0) {
      Atomics.add(words, CALLER, 1);
      Atomics.notify(words, CALLER);
    }
    return (gate & MESSAGE) !== 0;
  }
}
