import { useEffect, useRef, useState } from 'preact/hooks';

/** What the newest question that was answered came to. */
export interface Latest<Question, Answer> {
  /** The last answer, and the question that it is of. It stays while a newer one is being computed. */
  readonly answer?: Answer;
  readonly of?: Question;
  /** Why the newest question has none. */
  readonly failure?: string;
}

/**
 * Asks anew whenever the question's key changes: one question is in flight, the newest waits, those between are forgotten, and an older answer
 * is never shown over a newer one.
 */
export function useLatest<Question, Answer>(
  question: Question,
  key: string,
  ask: (question: Question) => Promise<Answer>,
): Latest<Question, Answer> {
  const [latest, setLatest] = useState<Latest<Question, Answer>>({});
  const state = useRef({ busy: false, gone: false, waiting: undefined as Question | undefined });
  useEffect(() => {
    const mine = state.current;
    mine.waiting = question;
    const next = async (): Promise<void> => {
      if (mine.busy) return;
      mine.busy = true;
      while (mine.waiting !== undefined && !mine.gone) {
        const asked = mine.waiting;
        mine.waiting = undefined;
        try {
          const answer = await ask(asked);
          if (!mine.gone) setLatest({ answer, of: asked });
        } catch (error) {
          const failure = error instanceof Error ? error.message : String(error);
          if (!mine.gone) setLatest((last) => ({ ...last, failure }));
        }
      }
      mine.busy = false;
    };
    void next();
  }, [key]);
  useEffect(() => {
    state.current.gone = false;
    return () => {
      state.current.gone = true;
    };
  }, []);
  return latest;
}
