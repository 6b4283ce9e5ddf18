// The run of one token more. Its stages, their parameter blocks and its job are those of the run before as long as no other run of the model came
// between: what is new are the token, its position, and numbers of each layer's attention, which that changes itself. A layer whose attention had to be
// planned anew (a page is full) gives other stages, and these take the place of its last ones.

import type { Program } from '../prepared/program.ts';
import type { Job, Stage } from '../threads/types.ts';
import type { DecoderProgram } from './decoder.ts';
import type { Again, Run } from './decoder-run.ts';

/** Makes a job of stages. */
type JobOf = (stages: readonly Stage[]) => Job;

export class TokenRun implements Run {
  readonly #decoder: DecoderProgram;
  readonly #jobOf: JobOf;
  readonly #programs: readonly Program[];
  /** The stages of each program. */
  readonly #own: (readonly Stage[])[];
  /** Those before the first, between two, and behind the last. */
  readonly #between: (readonly Stage[])[] = [];
  /** Threads that the job has memory for. */
  readonly #threads: number;
  readonly hidden: Run['hidden'];
  readonly first: number;
  readonly logits: Run['logits'];
  job: Job;

  /** @param run a run of one row, under way */
  constructor(decoder: DecoderProgram, run: Run, jobOf: JobOf) {
    this.#decoder = decoder;
    this.#jobOf = jobOf;
    const parts = run.ends as readonly Again[];
    this.#programs = parts.map(({ program }) => program);
    this.#own = parts.map(({ stages }) => stages);
    const { stages } = run.job;
    let from = 0;
    for (const own of this.#own) {
      const at = stages.indexOf(own[0] as Stage, from);
      this.#between.push(stages.slice(from, at));
      from = at + own.length;
    }
    this.#between.push(stages.slice(from));
    this.#threads = decoder.layers.pool.threads;
    this.hidden = run.hidden;
    this.first = run.first;
    this.logits = run.logits;
    this.job = run.job;
  }

  get ends(): readonly Program[] {
    return this.#programs;
  }

  /** Whether the parameter blocks are still what this run left. */
  get holds(): boolean {
    const { latest, layers } = this.#decoder;
    return latest === this && layers.pool.threads === this.#threads;
  }

  /** Begins the next one. @throws as attention, having changed nothing */
  begin(id: number, position: number): void {
    const { program, workspace, where } = this.#decoder;
    const programs = this.#programs;
    let changed = false;
    let begun = 0;
    try {
      for (; begun < programs.length; begun++) {
        const { stages } = (programs[begun] as Program).begin(where);
        if (stages === this.#own[begun]) continue;
        this.#own[begun] = stages;
        changed = true;
      }
      if (changed) this.job = this.#jobOf(this.#between.flatMap((before, n) => [...before, ...(this.#own[n] ?? [])]));
    } catch (error) {
      for (let n = 0; n < begun; n++) (programs[n] as Program).fail();
      this.#decoder.latest = undefined;
      throw error;
    }
    program.place(id, position, workspace);
  }

  commit(): void {
    for (const program of this.#programs) program.commit();
  }

  fail(): void {
    this.#decoder.latest = undefined;
    for (const program of this.#programs) program.fail();
  }
}
