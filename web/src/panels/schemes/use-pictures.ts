import { wrap } from 'comlink';
import { useEffect, useRef, useState } from 'preact/hooks';
import { startWorker } from '../../start-worker.ts';
import type { Answer, Api } from './compute.ts';
import { type Answering, Latest } from './latest.ts';
import type { Request } from './request.ts';

const keyOf = (request: Request): string => JSON.stringify(request);

function start(broken: (error: Error) => void): Answering<Request, Answer> {
  const worker = startWorker('schemes');
  const api = wrap<Api>(worker);
  worker.addEventListener('error', ({ message }) => broken(new Error(message || 'the worker that computes did not start')));
  return { compute: (request) => api.compute(request), stop: () => worker.terminate() };
}

/** The newest pictures that are done, why the newest request failed, if it did, and whether newer ones are on their way. */
export function usePictures(request: Request): { answer: Answer | undefined; error: string | undefined; busy: boolean } {
  const latest = useRef<Latest<Request, Answer> | undefined>(undefined);
  const [answer, setAnswer] = useState<Answer>();
  const [error, setError] = useState<string>();
  const [done, setDone] = useState<string>();
  useEffect(() => {
    const made = new Latest<Request, Answer>(start, (asked, next, wrong) => {
      if (next) setAnswer(next);
      setDone(keyOf(asked));
      setError(wrong);
    });
    latest.current = made;
    return () => made.stop();
  }, []);
  const key = keyOf(request);
  useEffect(() => latest.current?.ask(request), [key]);
  return { answer, error, busy: done !== key };
}
