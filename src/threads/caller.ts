/** The caller's part in a job that it shares with workers: its share of the tiles, and waiting for those that joined. */
import { mayBlock } from '../platform/host.ts';
import { now } from '../platform/time.ts';
import { ownTrap } from './alone.ts';
import { BELL, DONE, type Part, readTrap, resetJob, STOPPED, writeJob } from './control.ts';
import { askForMessage, blockUntilEmpty, inside, open, shut } from './gate.ts';
import { Share, stopTiles, type TileTrap } from './tiles.ts';
import type { Course, NamedStage, RunStage, Trap } from './types.ts';

/** Milliseconds that the caller spins for the last workers before it sleeps. */
const SPIN_MS = 0.03;
/** Milliseconds after which a waiting caller looks around. */
const LOOK_MS = 500;
/** Milliseconds that a caller sleeps at a time which has an event loop to serve: as long as it computes. */
const DOZE_MS = 8;

/** The workers, as a job needs them. */
interface Crew {
  /** The control block. */
  readonly words: Int32Array;
  /** Looks at an earlier stage before the thread sleeps. */
  readonly looks: number;
  readonly lost: string | undefined;
  lose(why: string): void;
  askHost(): void;
  untilEmpty(ms: number, look: () => void): Promise<void>;
}

/** A job whose tiles the caller and the workers of a group take in turn. The gate is open for it from the beginning. */
export class SharedJob implements Course {
  readonly #crew: Crew;
  readonly #words: Int32Array;
  readonly #stages: readonly NamedStage[];
  readonly #share: Share;
  /** Asked when the wait for a stage takes long: whether to pause. */
  #pause: () => boolean = () => true;
  /** Milliseconds that it sleeps at a time. */
  #sleep = DOZE_MS;

  constructor(crew: Crew, stages: readonly NamedStage[], part: Part) {
    const { words } = crew;
    this.#crew = crew;
    this.#words = words;
    this.#stages = stages;
    resetJob(words);
    writeJob(words, stages, part);
    open(words, part.threads - 1);
    const stage = (n: number): RunStage => stages[n] as RunStage;
    const rest = (bell: number, looks: number): boolean => this.#rest(bell, looks);
    this.#share = new Share(words, { stages: stages.length, stage, scratch: part.at, rest });
  }

  get done(): number {
    return Atomics.load(this.#words, DONE);
  }

  stop(): void {
    stopTiles(this.#words);
  }

  advance(pause: () => boolean): boolean | Trap {
    this.#pause = pause;
    return this.#run(pause);
  }

  #run(pause: () => boolean): boolean | Trap {
    try {
      return this.#share.run(pause);
    } catch (error) {
      const { tile, cause } = error as TileTrap;
      this.stop();
      return ownTrap(this.#name as string, tile, cause);
    }
  }

  /** Waits for an earlier stage: turns for a while, then sleeps where the thread may block. */
  #rest(bell: number, looks: number): boolean {
    if (looks < this.#crew.looks || (mayBlock() && Atomics.wait(this.#words, BELL, bell, this.#sleep) !== 'timed-out')) return false;
    return this.#pause();
  }

  /** Shuts the gate and awaits the workers inside. */
  async drain(): Promise<Trap | undefined> {
    shut(this.#words);
    if (!spinUntilEmpty(this.#words) && askForMessage(this.#words)) await this.#crew.untilEmpty(LOOK_MS, this.#watch());
    return this.#trap;
  }

  /** All of it before returning: blocks until the workers inside have left or are lost; how the job failed, if it did. */
  finish(): Trap | undefined {
    const look = this.#watch();
    this.#sleep = LOOK_MS;
    this.#pause = () => {
      look();
      return false;
    };
    const own = this.#run(() => false);
    shut(this.#words);
    if (!spinUntilEmpty(this.#words)) while (this.#crew.lost === undefined && !blockUntilEmpty(this.#words, LOOK_MS)) look();
    return typeof own === 'object' ? own : this.#trap;
  }

  /**
   * What a waiting caller looks for: a worker that the host says was ended; workers that do not leave a stopped job. Looks are counted, not
   * seconds: a process that was suspended has looked no more often.
   */
  #watch(): () => void {
    let stopped = 0;
    return () => {
      this.#crew.askHost();
      if (Atomics.load(this.#words, STOPPED) !== 0 && ++stopped === 2) this.#crew.lose('a stopped job was not left');
    };
  }

  get #trap(): Trap | undefined {
    const why = this.#crew.lost ?? readTrap(this.#words);
    return why === undefined ? undefined : this.failure(why);
  }

  failure(why: string): Trap {
    return { name: this.#name, why };
  }

  /**
   * The kernel of the stage at which the job stands. A tile that failed is none of those done, and none of a later stage is: so these say in
   * which stage it was.
   */
  get #name(): string | undefined {
    let left = this.done;
    const stage = this.#stages.find(({ tiles }) => {
      left -= tiles;
      return left < 0;
    });
    return (stage ?? this.#stages.at(-1))?.name;
  }
}

/** A worker that finds no tile leaves within this time as a rule, and no event of the host is half as quick. */
function spinUntilEmpty(words: Int32Array): boolean {
  for (const end = now() + SPIN_MS; inside(words) > 0; ) if (now() >= end) return false;
  return true;
}
