import { type Remote, wrap } from 'comlink';
import { useEffect, useRef, useState } from 'preact/hooks';
import { startWorker } from '../../start-worker.ts';
import type { Answer, Api } from './compute.ts';
import type { Request } from './request.ts';

/** Told of the answer to a request, or of why there is none. */
type Say = (key: string, answer: Answer | undefined, error: string | undefined) => void;

const keyOf = (request: Request): string => JSON.stringify(request);

/** The worker that computes; one request is under way at a time, and of those that come meanwhile the newest is next. */
class Pictures {
  readonly #worker = startWorker('schemes');
  readonly #api: Remote<Api> = wrap<Api>(this.#worker);
  readonly #say: Say;
  #next: Request | undefined;
  #busy = false;
  #warm = false;

  constructor(say: Say) {
    this.#say = say;
    this.#worker.addEventListener('error', () => say('', undefined, 'the worker that computes did not start'));
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
        this.#say(keyOf(request), await this.#api.compute(request), undefined);
        // The first answer's time is that of a browser which compiles; asked again, it is that of all that follow.
        if (!this.#warm) this.#next ??= request;
        this.#warm = true;
      } catch (error) {
        this.#say(keyOf(request), undefined, error instanceof Error ? error.message : String(error));
      }
    }
    this.#busy = false;
  }

  stop(): void {
    this.#next = undefined;
    this.#worker.terminate();
  }
}

/** The newest pictures that are done, why the newest request failed, if it did, and whether newer ones are on their way. */
export function usePictures(request: Request): { answer: Answer | undefined; error: string | undefined; busy: boolean } {
  const pictures = useRef<Pictures | undefined>(undefined);
  const [answer, setAnswer] = useState<Answer>();
  const [error, setError] = useState<string>();
  const [done, setDone] = useState<string>();
  useEffect(() => {
    const made = new Pictures((asked, next, wrong) => {
      if (next) setAnswer(next);
      setDone(asked);
      setError(wrong);
    });
    pictures.current = made;
    return () => made.stop();
  }, []);
  const key = keyOf(request);
  useEffect(() => pictures.current?.ask(request), [key]);
  return { answer, error, busy: done !== key };
}
