import { type Remote, wrap } from 'comlink';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Answer, Api } from './compute.ts';
import type { Request } from './request.ts';

/** The worker that computes; one request is under way at a time, and of those that come meanwhile the newest is next. */
class Pictures {
  readonly #worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
  readonly #api: Remote<Api> = wrap<Api>(this.#worker);
  readonly #say: (answer: Answer | undefined, error: string | undefined) => void;
  #next: Request | undefined;
  #busy = false;
  #warm = false;

  constructor(say: (answer: Answer | undefined, error: string | undefined) => void) {
    this.#say = say;
    this.#worker.addEventListener('error', () => say(undefined, 'the worker that computes did not start'));
  }

  ask(request: Request): void {
    this.#next = request;
    if (!this.#busy) void this.#go();
  }

  async #go(): Promise<void> {
    this.#busy = true;
    while (this.#next) {
      const request = this.#next;
      this.#next = undefined;
      try {
        this.#say(await this.#api.compute(request), undefined);
        // The first answer's time is that of a browser which compiles; asked again, it is that of all that follow.
        if (!this.#warm) this.#next ??= request;
        this.#warm = true;
      } catch (error) {
        this.#say(undefined, error instanceof Error ? error.message : String(error));
      }
    }
    this.#busy = false;
  }

  stop(): void {
    this.#next = undefined;
    this.#worker.terminate();
  }
}

/** The newest pictures that are done, and why the newest request failed, if it did. */
export function usePictures(request: Request): { answer: Answer | undefined; error: string | undefined } {
  const pictures = useRef<Pictures | undefined>(undefined);
  const [answer, setAnswer] = useState<Answer>();
  const [error, setError] = useState<string>();
  useEffect(() => {
    const made = new Pictures((next, wrong) => {
      if (next) setAnswer(next);
      setError(wrong);
    });
    pictures.current = made;
    return () => made.stop();
  }, []);
  const key = JSON.stringify(request);
  useEffect(() => pictures.current?.ask(request), [key]);
  return { answer, error };
}
