import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { shortened } from './shortened.ts';

/** Letters of an error at most: it may quote a file. */
const LONGEST = 500;

/** Work that may take long: how far it is, and how it ended. */
export interface Work {
  readonly busy: boolean;
  /** From 0 to 1, or undefined while nobody knows. */
  readonly share?: number | undefined;
  /** What people read: what goes on, how it ended, or why it failed. */
  readonly text: string;
  readonly failed?: boolean;
}

/** What the work tells while it goes on. */
export type Tell = (text: string, share?: number) => void;

/**
 * One piece of work at a time: `run(job)` starts it (a new one stops the old), `stop()` stops it. What the job returns is said at the end. A panel
 * that goes away stops its work.
 */
export function useWork(): {
  work: Work;
  run: (job: (signal: AbortSignal, tell: Tell) => Promise<string>) => Promise<void>;
  stop: () => void;
} {
  const [work, setWork] = useState<Work>({ busy: false, text: '' });
  const current = useRef<AbortController | undefined>(undefined);
  const stop = useCallback((): void => current.current?.abort(), []);
  const run = useCallback(async (job: (signal: AbortSignal, tell: Tell) => Promise<string>): Promise<void> => {
    current.current?.abort();
    const controller = new AbortController();
    current.current = controller;
    const mine = (): boolean => current.current === controller;
    const say = (next: Work): void => {
      if (mine()) setWork(next);
    };
    let over = false;
    say({ busy: true, text: 'Working …' });
    try {
      const text = await job(controller.signal, (text, share) => {
        // What a worker told on its way may come behind its answer.
        if (!over) say({ busy: true, text, share });
      });
      over = true;
      say({ busy: false, text });
    } catch (error) {
      over = true;
      if (controller.signal.aborted) say({ busy: false, text: 'Stopped.' });
      else say({ busy: false, failed: true, text: shortened(error instanceof Error ? error.message : String(error), LONGEST) });
    }
  }, []);
  useEffect(
    () => () => {
      const last = current.current;
      current.current = undefined;
      last?.abort();
    },
    [],
  );
  return { work, run, stop };
}

interface ProgressProps {
  readonly work: Work;
  readonly stop: () => void;
  /** What the work is, for those who hear the page. */
  readonly label: string;
}

/** The bar of a work, its words, and a button that stops it. */
export function Progress({ work, stop, label }: ProgressProps) {
  return (
    <div class="row progress">
      <button type="button" onClick={stop} disabled={!work.busy}>
        Stop
      </button>
      {work.busy && <progress aria-label={label} max={1} {...(work.share !== undefined && { value: work.share })} />}
      <span role={work.failed ? 'alert' : 'status'}>{work.text}</span>
    </div>
  );
}
