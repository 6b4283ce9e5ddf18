// Requests to a worker while somebody drags: one is under way at a time, and of those that come meanwhile the newest is next.

/** A worker that answers, and what it takes to end it. */
export interface Answering<Q, A> {
  readonly compute: (request: Q) => Promise<A>;
  readonly stop: () => void;
}

/** Told of the answer to a request, or of why there is none. */
export type Say<Q, A> = (request: Q, answer: A | undefined, error: string | undefined) => void;

/** Starts a worker; `broken` is called when it breaks, and no answer comes any more. */
export type Start<Q, A> = (broken: (error: Error) => void) => Answering<Q, A>;

/** Asks a worker for the newest. One that breaks is replaced when the next request comes. */
export class Latest<Q, A> {
  readonly #start: Start<Q, A>;
  readonly #say: Say<Q, A>;
  #worker: Answering<Q, A> | undefined;
  #next: Q | undefined;
  /** Ends the waiting for what is under way. */
  #fail: ((error: Error) => void) | undefined;
  #busy = false;
  #warm = false;
  #stopped = false;

  constructor(start: Start<Q, A>, say: Say<Q, A>) {
    this.#start = start;
    this.#say = say;
  }

  ask(request: Q): void {
    this.#next = request;
    if (!this.#busy) void this.#go();
  }

  async #go(): Promise<void> {
    this.#busy = true;
    while (this.#next !== undefined) {
      const request = this.#next;
      this.#next = undefined;
      await this.#answer(request);
    }
    this.#busy = false;
  }

  async #answer(request: Q): Promise<void> {
    try {
      const worker = this.#running();
      const answer = await new Promise<A>((resolve, reject) => {
        this.#fail = reject;
        worker.compute(request).then(resolve, reject);
      });
      if (this.#stopped) return;
      this.#say(request, answer, undefined);
      // The first answer's time is that of a browser which compiles; asked again, it is that of all that follow.
      if (!this.#warm) this.#next ??= request;
      this.#warm = true;
    } catch (error) {
      if (!this.#stopped) this.#say(request, undefined, error instanceof Error ? error.message : String(error));
    }
  }

  #running(): Answering<Q, A> {
    this.#worker ??= this.#start((error) => {
      this.#end();
      this.#fail?.(error);
    });
    return this.#worker;
  }

  #end(): void {
    this.#worker?.stop();
    this.#worker = undefined;
  }

  /** Ends the worker; nothing more is said. */
  stop(): void {
    this.#stopped = true;
    this.#next = undefined;
    this.#end();
  }
}
