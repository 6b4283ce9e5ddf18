import { type Remote, wrap } from 'comlink';
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { useKept } from '../../kept.ts';
import { startWorker } from '../../start-worker.ts';
import { type Tell, useWork, type Work } from '../../ui/work.tsx';
import type { Api } from './compute.ts';
import { keyOf, type Results } from './results.ts';
import { SCHEMES, type SchemeName, type WindowLength } from './schemes.ts';
import { bytesOf, fitting, type Settings, type Source } from './texts.ts';

const FOLDER = 'models/positions/';

/** PyTorch's mean losses of all of the held-out text, by scheme and window. */
export type Known = Readonly<Record<string, { readonly loss: Readonly<Record<string, number>> }>>;

interface Data {
  readonly text: Uint8Array;
  readonly known: Known;
}

interface Job {
  readonly scheme: SchemeName;
  readonly window: WindowLength;
}

async function fetchData(): Promise<Data> {
  const answers = await Promise.all(
    ['text.txt', 'losses.json'].map(async (name) => {
      const answer = await fetch(`${FOLDER}${name}`).catch(() => undefined);
      if (!answer?.ok) throw new Error(`${FOLDER}${name} could not be fetched${answer ? `: ${answer.status}` : ''}.`);
      // Some hosts answer their front page where they have no file.
      if (answer.headers.get('content-type')?.startsWith('text/html'))
        throw new Error(`${FOLDER}${name} is not on this host, which answers a page in its place.`);
      return answer;
    }),
  );
  const [text, losses] = answers as [Response, Response];
  return { text: new Uint8Array(await text.arrayBuffer()), known: ((await losses.json()) as { schemes: Known }).schemes };
}

interface Calculator {
  readonly worker: Worker;
  readonly api: Remote<Api>;
  /** Fails when the worker does: calls that it had would be awaited for ever. */
  readonly broken: Promise<never>;
}

function startCalculator(): Calculator {
  const worker = startWorker('length');
  const broken = new Promise<never>((_, reject) => {
    worker.addEventListener('error', ({ message }) =>
      reject(new Error(`The worker that computes failed${message ? `: ${message}` : ''}.`)),
    );
  });
  broken.catch(() => {}); // Whoever waits for an answer hears of it.
  return { worker, api: wrap<Api>(worker), broken };
}

/** A worker of the panel's own, made when it is first asked, anew when it was broken, and ended with the panel. */
function useWorker(): () => Calculator {
  const made = useRef<Calculator | undefined>(undefined);
  useEffect(() => () => made.current?.worker.terminate(), []);
  return useCallback(() => {
    const calculator = made.current ?? startCalculator();
    made.current = calculator;
    calculator.broken.catch(() => {
      calculator.worker.terminate();
      if (made.current === calculator) made.current = undefined;
    });
    return calculator;
  }, []);
}

/** A step of a window of 1,024 takes about twice as long as one of 64. */
const costOf = ({ window }: Job): number => 1 + window / 1024;

/** What the settings ask for and what of it is computed; `run` computes the rest, one scheme and window after another. */
export function useLosses(settings: Settings, own: string) {
  const { source, schemes, windows } = settings;
  const [data, setData] = useState<Data>();
  const [failure, setFailure] = useState<string>();
  const [kept, keep] = useKept<{ read: string; results: Results }>('losses');
  const { work, run: start, stop } = useWork();
  const worker = useWorker();
  useEffect(() => {
    fetchData().then(setData, (error: Error) => setFailure(error.message));
  }, []);

  const text = useMemo(() => data && bytesOf(source, data.text, own), [data, source, own]);
  const read = readOf(source, own);
  const results: Results = kept?.read === read ? kept.results : NOTHING;
  const missing = useMemo(() => (text ? jobs(schemes, fitting(windows, text)) : []), [schemes, windows, text]).filter(
    ({ scheme, window }) => !results.has(keyOf(scheme, window)),
  );

  const run = useCallback((): void => {
    if (!text) return;
    const evaluate = async (signal: AbortSignal, tell: Tell): Promise<string> => {
      const { api, broken } = worker();
      const ended = (): void => void api.stop();
      signal.addEventListener('abort', ended);
      const began = performance.now();
      const whole = missing.reduce((sum, job) => sum + costOf(job), 0);
      let done = 0;
      const folder = new URL(FOLDER, document.baseURI).href;
      for (const job of missing) {
        tell(`${SCHEMES[job.scheme].title}, windows of ${job.window.toLocaleString('en')}`, done / whole);
        const losses = await Promise.race([api.evaluate(job.scheme, job.window, text, folder), broken]);
        signal.throwIfAborted();
        if (!losses) throw new Error('The evaluation was ended by another.');
        keep((last) => ({
          read,
          results: new Map([...(last?.read === read ? last.results : []), [keyOf(job.scheme, job.window), losses]]),
        }));
        done += costOf(job);
      }
      const threads = await api.threads();
      const seconds = ((performance.now() - began) / 1000).toFixed(1);
      return `${missing.length} ${missing.length === 1 ? 'loss' : 'losses'} of ${(text.length - 1).toLocaleString('en')} bytes in ${seconds} s, on ${threads} ${threads === 1 ? 'thread' : 'threads'}.`;
    };
    void start(evaluate);
  }, [text, read, missing, start, worker, keep]);

  // What is read changed: what goes on is of another text. Not later than the change is seen, or it would stop what is begun after it.
  useLayoutEffect(() => stop, [text, stop]);
  // The panel opens computed.
  const opened = useRef(false);
  useEffect(() => {
    if (opened.current || !text) return;
    opened.current = true;
    if (source !== 'own' && missing.length > 0) run();
  }, [text, source, missing, run]);

  return { data, failure, results, work, run, stop, missing: missing.length } satisfies { work: Work; [name: string]: unknown };
}

/** What is read, by name: a held-out text, or the visitor's own. */
const readOf = (source: Source, own: string): string => (source === 'own' ? `own: ${own}` : source);

const NOTHING: Results = new Map();

/** All of some schemes and windows, short windows first. */
const jobs = (schemes: readonly SchemeName[], windows: readonly WindowLength[]): Job[] =>
  windows.flatMap((window) => schemes.map((scheme) => ({ scheme, window })));
