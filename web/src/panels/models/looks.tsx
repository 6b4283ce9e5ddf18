import { useCallback, useEffect, useId, useMemo } from 'preact/hooks';
import { Choice } from '../../ui/controls.tsx';
import { Copy } from '../../ui/copy.tsx';
import { Figure } from '../../ui/figure.tsx';
import { HeatMap } from '../../ui/heat-map.tsx';
import { three } from '../../ui/numbers.ts';
import { addressOf, api, useLatest, useModel } from './client.ts';
import { attentionProgram } from './code.ts';
import { ModelBar } from './model-bar.tsx';
import type { PartProps } from './props.ts';
import { encoderFacts } from './sentences.tsx';
import { goesOn, headOf, largestOf, wordOf } from './tokens.ts';

const PAUSE_MS = 120;
/** Words at most that are written beside the map. */
const LABELLED = 24;

interface Question {
  readonly text: string;
  readonly layer: number;
}

/** Where the words of a sentence look, in a head of a layer. */
export function Looks({ settings, set, models, choose }: PartProps) {
  const id = useId();
  const { info, work, load, stop } = useModel('encoder', models.encoder);
  const layer = Math.min(settings.layer, (info?.layers ?? 1) - 1);
  const ask = useCallback(({ text, layer: of }: Question) => api().attention(text, of), []);
  const { answer, failure, busy, put } = useLatest(ask, PAUSE_MS);
  const text = settings.text.replace(/\s+/g, ' ').trim();
  useEffect(() => {
    if (info && text) put({ text, layer });
  }, [info, text, layer, put]);
  const map = text ? answer?.value : undefined;
  const heads = map?.heads ?? info?.heads[layer] ?? 1;
  const head = Math.min(settings.head, heads - 1);
  const values = useMemo(() => map && headOf(map.probabilities, map.heads, map.length, head), [map, head]);
  return (
    <>
      <ModelBar
        kind="encoder"
        chosen={models.encoder}
        facts={info && encoderFacts(info)}
        work={work}
        stop={stop}
        load={load}
        choose={(encoder) => choose({ encoder })}
      />
      <div class="stacked">
        <div class="controls">
          <div>
            <label for={id}>Sentence</label>
            <input
              id={id}
              type="text"
              dir="auto"
              spellcheck={false}
              value={settings.text}
              onInput={(event) => set({ text: event.currentTarget.value })}
            />
          </div>
          <div class="row">
            <Choice
              label="Layer"
              value={String(layer)}
              options={Array.from({ length: info?.layers ?? 1 }, (_, n) => [String(n), `${n + 1}`] as const)}
              onChange={(value) => set({ layer: Number(value) })}
            />
            <Choice
              label="Head"
              value={String(head)}
              options={[['-1', 'mean of all'], ...Array.from({ length: heads }, (_, n) => [String(n), `${n + 1}`] as const)]}
              onChange={(value) => set({ head: Number(value) })}
            />
            <span role="status" class="quiet" data-busy={busy}>
              {!text ? 'A sentence is needed.' : map ? `${map.length} tokens.` : ''}
            </span>
          </div>
          {failure && <p role="alert">{failure}</p>}
        </div>
        {map && values && (
          <Shown tokens={map.tokens} values={values} chosen={Math.min(settings.token, map.length - 1)} choose={(token) => set({ token })} />
        )}
        {map && <Copy label="Copy as code" text={() => attentionProgram({ ...settings, text, layer, head }, addressOf(models.encoder))} />}
      </div>
    </>
  );
}

const largest = (numbers: Float32Array): number => numbers.reduce((most, x) => Math.max(most, x), 0);

interface ShownProps {
  readonly tokens: readonly string[];
  readonly values: Float32Array;
  readonly chosen: number;
  readonly choose: (token: number) => void;
}

function Shown({ tokens, values, chosen, choose }: ShownProps) {
  const T = tokens.length;
  const row = values.subarray(chosen * T, (chosen + 1) * T);
  const word = (n: number): string => `“${wordOf(tokens[n] as string)}”`;
  const most = largest(row);
  const said = largestOf(row, 3).map((n) => `${word(n)} (${three(row[n] as number)})`);
  return (
    <>
      <Figure title="Choose a word: the deeper the colour of another, the more of it the chosen one takes in. The shares of a word sum to 100%.">
        <fieldset class="tokens" aria-label="Words of the sentence">
          {tokens.map((token, n) => {
            const share = most > 0 ? (row[n] as number) / most : 0;
            return (
              <button
                key={n}
                type="button"
                class={goesOn(token, tokens) ? 'joined' : ''}
                aria-pressed={n === chosen}
                style={{ '--share': share.toFixed(3) }}
                onClick={() => choose(n)}
              >
                {wordOf(token)} <small class="number">{(100 * (row[n] as number)).toFixed(0)}%</small>
              </button>
            );
          })}
        </fieldset>
        <p class="said">
          {word(chosen)} looks most at {said.join(', ')}.
        </p>
      </Figure>
      <Figure title="All words at once: a row is a word that looks, a column one that is looked at. A bright column is a word that many look at.">
        <div class="map">
          <HeatMap
            label="Attention of each word to each word"
            rows={T}
            columns={T}
            values={values}
            domain={[0, largest(values)]}
            down="word that looks"
            {...(T <= LABELLED && { names: tokens.map(wordOf) })}
            across="word that is looked at"
            selected={{ i: chosen, j: largestOf(row, 1)[0] as number }}
            onSelect={({ i }) => choose(i)}
            say={({ i, j }, value) => `${word(i)} looks at ${word(j)}: ${three(value)}`}
          />
        </div>
      </Figure>
    </>
  );
}
