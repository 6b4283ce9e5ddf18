// The panel's worker, and the models in it. Both stay when the panel goes away: coming back costs nothing.
import { proxy, type Remote, wrap } from 'comlink';
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { startWorker } from '../../start-worker.ts';
import { type Tell, useWork, type Work } from '../../ui/work.tsx';
import type { Api, DecoderInfo, EncoderInfo, Opened } from './compute.ts';
import type { BuiltIn, ModelSource } from './sources.ts';

let made: { readonly remote: Remote<Api>; readonly broken: Promise<never> } | undefined;

/** Told when the worker broke: what it held is gone. */
const onBroken = new Set<(error: Error) => void>();

/** The worker, made when it is first asked, and anew after it broke. */
function workerOf(): NonNullable<typeof made> {
  if (made) return made;
  const worker = startWorker('models');
  const broken = new Promise<never>((_, reject) => {
    worker.addEventListener('error', ({ message }) => {
      worker.terminate();
      made = undefined;
      delete held.encoder;
      delete held.decoder;
      const error = new Error(`The worker of this panel broke${message ? `: ${message}` : ', or could not be loaded'}.`);
      reject(error);
      for (const tell of onBroken) tell(error);
    });
  });
  // Whoever waits is told; nobody may.
  broken.catch(() => {});
  made = { remote: wrap<Api>(worker), broken };
  return made;
}

export const api = (): Remote<Api> => workerOf().remote;

/** What the worker answers, or that it broke. */
export const answered = <Answer extends Promise<unknown>>(answer: Answer): Promise<Awaited<Answer>> =>
  Promise.race([answer, workerOf().broken]) as Promise<Awaited<Answer>>;

/** A model that is loaded, or is to be. */
export interface Chosen {
  /** What people call it. */
  readonly title: string;
  readonly source: ModelSource;
}

const builtIn = (name: BuiltIn, title: string): Chosen => ({
  title,
  source: { builtIn: name, address: new URL(`./models/${name}/`, document.baseURI).href },
});

/** The page's own models. */
export const OWN = {
  encoder: () => builtIn('encoder', 'the page’s sentence encoder'),
  decoder: () => builtIn('story-llama', 'story-llama'),
};

/** Where a program finds the model. */
export const addressOf = ({ source }: Chosen): string => ('builtIn' in source ? source.address : 'the/folder/of/your/model');

interface Held<Info> {
  readonly chosen: Chosen;
  readonly info: Info;
}

/** What the worker holds. */
const held: { encoder?: Held<EncoderInfo>; decoder?: Held<DecoderInfo> } = {};

/** Notes what the worker loaded for somebody else. */
export function keep(chosen: Chosen, found: Opened): void {
  held[found.kind] = { chosen, info: found.info } as never;
}

type Infos = { readonly encoder: EncoderInfo; readonly decoder: DecoderInfo };

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);

/** A model of a kind, loaded when the component comes; another one when another is chosen. */
export function useModel<Kind extends keyof Infos>(
  kind: Kind,
  chosen: Chosen,
): { info: Infos[Kind] | undefined; work: Work; load: () => void; stop: () => void } {
  const { work, run, stop } = useWork();
  const [info, setInfo] = useState<Infos[Kind]>();
  const load = useCallback((): void => {
    const known = held[kind];
    if (known?.chosen === chosen || (known && sameBuiltIn(known.chosen, chosen))) {
      setInfo(known.info as Infos[Kind]);
      return;
    }
    setInfo(undefined);
    const open = async (signal: AbortSignal, tell: Tell): Promise<string> => {
      const worker = api();
      const end = (): void => void worker.stop(kind);
      signal.addEventListener('abort', end);
      tell(`Loading ${chosen.title} …`);
      const progress = proxy((loaded: number, total: number) =>
        tell(`Loading ${chosen.title}: ${megabytes(loaded)} of ${megabytes(total)} MB`, total ? loaded / total : undefined),
      );
      const began = performance.now();
      const found = await answered(
        kind === 'encoder' ? worker.openEncoder(chosen.source, progress) : worker.openDecoder(chosen.source, progress),
      );
      held[kind] = { chosen, info: found } as never;
      // Somebody who stopped at the last moment has the model, and nobody who waits for it.
      signal.throwIfAborted();
      setInfo(found as Infos[Kind]);
      return `${chosen.title} is loaded, in ${((performance.now() - began) / 1000).toFixed(1)} s.`;
    };
    void run(open);
  }, [kind, chosen, run]);
  useEffect(load, [load]);
  // A model that is gone with its worker is loaded again by hand: whatever broke it may do so again.
  useEffect(() => {
    const gone = (error: Error): void => {
      setInfo(undefined);
      void run(() => Promise.reject(error));
    };
    onBroken.add(gone);
    return () => void onBroken.delete(gone);
  }, [run]);
  return { info, work, load, stop };
}

const sameBuiltIn = (a: Chosen, b: Chosen): boolean =>
  'builtIn' in a.source && 'builtIn' in b.source && a.source.builtIn === b.source.builtIn;

/** What is asked again and again while somebody types: one question at a time, of those that wait the newest, and no answer of an older one. */
export function useLatest<Question, Answer>(ask: (question: Question) => Promise<Answer>, pause: number) {
  const [answer, setAnswer] = useState<{ readonly question: Question; readonly value: Answer }>();
  const [failure, setFailure] = useState<string>();
  const [busy, setBusy] = useState(false);
  const state = useRef({ waiting: undefined as { question: Question } | undefined, busy: false, timer: 0, gone: false });
  const next = useCallback(async (): Promise<void> => {
    const { current } = state;
    if (current.busy || !current.waiting || current.gone) return;
    const { question } = current.waiting;
    current.waiting = undefined;
    current.busy = true;
    setBusy(true);
    try {
      const value = await answered(ask(question));
      if (!current.gone) {
        setAnswer({ question, value });
        setFailure(undefined);
      }
    } catch (error) {
      // The one that waits says whether it is still wrong.
      if (!current.gone && !current.waiting) setFailure(error instanceof Error ? error.message : String(error));
    }
    current.busy = false;
    if (!current.gone) {
      setBusy(current.waiting !== undefined);
      void next();
    }
  }, [ask]);
  const put = useCallback(
    (question: Question): void => {
      const { current } = state;
      clearTimeout(current.timer);
      current.timer = window.setTimeout(() => {
        current.waiting = { question };
        void next();
      }, pause);
    },
    [next, pause],
  );
  useEffect(() => {
    state.current.gone = false;
    return () => {
      clearTimeout(state.current.timer);
      state.current.gone = true;
    };
  }, []);
  return { answer, failure, busy, put };
}
