// How jobs of a queue end. That one has is heard from the queue's events, and looked up now and then, for an event may be lost with a connection.
import type { Job, Queue, QueueEvents } from 'bullmq';

/** A job that ended, with its answer or why it failed. */
export type Ending = { readonly job: Job } & ({ readonly answer: unknown } | { readonly failure: string });

/** Milliseconds between two looks at a job that no event told of. */
const LOOK_MS = 2000;

export class JobEndings {
  readonly #queue: Queue;
  /** Those who wait for a job, by its id: each is woken to look. */
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(queue: Queue, events: QueueEvents) {
    this.#queue = queue;
    const wake = ({ jobId }: { jobId: string }): void => {
      for (const look of [...(this.#waiting.get(jobId) ?? [])]) look();
    };
    events.on('completed', wake);
    events.on('failed', wake);
  }

  /** The end of a job, once it is there; undefined if the job is gone. Until then `onLook` is called now and then with the state that it is in. */
  async of(id: string, signal?: AbortSignal, onLook?: (state: string) => Promise<unknown>): Promise<Ending | undefined> {
    for (;;) {
      signal?.throwIfAborted();
      // Before the look, so that an end between the look and the wait is heard.
      const woken = this.#woken(id, signal);
      // First the state, then the job: read the other way round, a job that ends in between has no answer.
      const state = await this.#queue.getJobState(id);
      if (state === 'completed' || state === 'failed' || state === 'unknown') {
        const job: Job | undefined = await this.#queue.getJob(id);
        if (!job) return undefined;
        return state === 'completed' ? { job, answer: job.returnvalue } : { job, failure: job.failedReason ?? 'without a reason' };
      }
      await onLook?.(state);
      await woken;
    }
  }

  #woken(id: string, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const all = this.#waiting.get(id) ?? new Set();
      const done = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        all.delete(done);
        if (all.size === 0) this.#waiting.delete(id);
        resolve();
      };
      const timer = setTimeout(done, LOOK_MS);
      signal?.addEventListener('abort', done);
      this.#waiting.set(id, all.add(done));
    });
  }
}
