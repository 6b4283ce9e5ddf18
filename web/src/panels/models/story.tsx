import { proxy } from 'comlink';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { Slider } from '../../ui/controls.tsx';
import { Copy } from '../../ui/copy.tsx';
import { Progress, useWork } from '../../ui/work.tsx';
import { addressOf, answered, api, useModel } from './client.ts';
import { generationOf, storyProgram } from './code.ts';
import { ModelBar } from './model-bar.tsx';
import type { PartProps } from './props.ts';

const REASONS = { end: 'The model ended its text', stop: 'The stop text came', length: 'The tokens ended' } as const;

const speedOf = (tokens: number, ms: number): string => (ms > 0 ? Math.round((1000 * tokens) / ms).toLocaleString('en') : '–');

/** Schemes as people call them. */
const positionsOf = (names: readonly string[]): string =>
  names.map((name) => (name === 'rotaryFromConfig' ? 'rotary' : name)).join(' and ') || 'no';

/** A text that a model goes on with. */
export function Story({ settings, set, models, choose }: PartProps) {
  const id = useId();
  const { info, work, load, stop } = useModel('decoder', models.decoder);
  const writing = useWork();
  const [story, setStory] = useState<{ prompt: string; text: string; tokens: number; ms: number }>();
  const run = (asked = settings): void => {
    const { prompt } = asked;
    const write = async (signal: AbortSignal): Promise<string> => {
      const worker = api();
      signal.addEventListener('abort', () => void worker.stop('generate'));
      setStory({ prompt, text: '', tokens: 0, ms: 0 });
      const say = proxy((text: string, tokens: number, ms: number) => {
        if (!signal.aborted) setStory((last) => ({ prompt, text: (last?.text ?? '') + text, tokens, ms }));
      });
      const finish = await answered(worker.generate(prompt, generationOf(asked), say));
      signal.throwIfAborted();
      if (finish === 'stopped') throw new Error('It was stopped by another.');
      return `${REASONS[finish.reason]}, after ${finish.tokens} tokens.`;
    };
    void writing.run(write);
  };
  // The panel opens with a story.
  const opened = useRef(false);
  useEffect(() => {
    if (!info || opened.current) return;
    opened.current = true;
    run();
  });
  return (
    <>
      <ModelBar
        kind="decoder"
        chosen={models.decoder}
        facts={info && `${info.family}: ${info.layers} layers, ${positionsOf(info.positions)} positions, texts of ${info.longest} tokens`}
        work={work}
        stop={stop}
        load={load}
        choose={(decoder) => choose({ decoder })}
      />
      <div class="sides">
        <form
          class="controls"
          onSubmit={(event) => {
            event.preventDefault();
            run();
          }}
        >
          <div>
            <label for={id}>Beginning of the text</label>
            <textarea id={id} rows={3} dir="auto" value={settings.prompt} onInput={(event) => set({ prompt: event.currentTarget.value })} />
          </div>
          <Slider
            label="T, temperature"
            value={settings.temperature}
            least={0}
            most={2}
            step={0.05}
            show={(T) => (T === 0 ? '0, the likeliest' : T.toFixed(2))}
            onChange={(temperature) => set({ temperature })}
          />
          <Slider
            label="k, of the likeliest tokens"
            value={settings.topK}
            least={0}
            most={200}
            show={(k) => (k === 0 ? 'all' : String(k))}
            onChange={(topK) => set({ topK })}
          />
          <Slider
            label="p, of their probability"
            value={settings.topP}
            least={0.05}
            most={1}
            step={0.05}
            show={(p) => p.toFixed(2)}
            onChange={(topP) => set({ topP })}
          />
          <Slider label="Seed" value={settings.seed} least={0} most={99} onChange={(seed) => set({ seed })} />
          <Slider label="Tokens at most" value={settings.tokens} least={10} most={250} step={10} onChange={(tokens) => set({ tokens })} />
          <div>
            <label for={`${id} end`}>Ends at this text</label>
            <input id={`${id} end`} type="text" value={settings.end} onInput={(event) => set({ end: event.currentTarget.value })} />
          </div>
          <div class="row">
            <button type="submit" class="first" disabled={!info}>
              Write
            </button>
            <button
              type="button"
              disabled={!info}
              onClick={() => {
                const seed = (settings.seed + 1) % 100;
                set({ seed });
                run({ ...settings, seed });
              }}
            >
              Next seed
            </button>
          </div>
        </form>
        <div class="story">
          <Progress work={writing.work} stop={writing.stop} label="Writing" />
          <p class="number quiet" data-tokens={story?.tokens ?? 0}>
            {story && story.tokens > 0 ? `${story.tokens} tokens, ${speedOf(story.tokens, story.ms)} a second on one thread` : ' '}
          </p>
          <p class="text" dir="auto">
            <b>{story?.prompt}</b>
            {story?.text}
          </p>
          <p class="quiet">
            The same beginning, numbers and seed give the same text on every machine.{' '}
            {'builtIn' in models.decoder.source && 'The page’s model has read one old book: its words are better than its sense.'}
          </p>
          <Copy label="Copy as code" text={() => storyProgram(settings, addressOf(models.decoder))} />
        </div>
      </div>
    </>
  );
}
