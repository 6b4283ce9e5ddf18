import { useCallback, useEffect, useId, useMemo } from 'preact/hooks';
import { Copy } from '../../ui/copy.tsx';
import { shortened } from '../../ui/shortened.ts';
import { addressOf, api, useLatest, useModel } from './client.ts';
import { similarityProgram } from './code.ts';
import type { EncoderInfo } from './compute.ts';
import { ModelBar } from './model-bar.tsx';
import type { PartProps } from './props.ts';
import { DEFAULTS } from './settings.ts';
import { MOST, nearestOf, sentencesOf, sharesOf } from './similarity.ts';

/** Typing goes on for so long before the table follows. */
const PAUSE_MS = 120;

/** What there is to know of an encoder. */
export const encoderFacts = ({ layers, heads, width, family, maxLength }: EncoderInfo): string => {
  const end = Number.isSafeInteger(maxLength) ? `; what is longer than ${maxLength.toLocaleString('en')} tokens is cut` : '';
  return `${family}: ${layers} layers of ${heads[0]} heads, vectors of ${width} numbers${end}`;
};

/** Letters of a sentence at most that stand beside the table: it may be a book. */
const LETTERS = 200;

/** Sentences and their similarity as a table of colours. */
export function Sentences({ settings, set, models, choose }: PartProps) {
  const id = useId();
  const { info, work, load, stop } = useModel('encoder', models.encoder);
  const { texts, left } = useMemo(() => sentencesOf(settings.texts), [settings.texts]);
  const ask = useCallback((question: readonly string[]) => api().similarity(question), []);
  const { answer, failure, busy, put } = useLatest(ask, PAUSE_MS);
  useEffect(() => {
    if (info && texts.length > 1) put(texts);
  }, [info, texts, put]);
  const shown = texts.length > 1 ? answer : undefined;
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
        <div>
          <label for={id}>Sentences, one on each line</label>
          <textarea
            id={id}
            rows={7}
            dir="auto"
            spellcheck={false}
            value={settings.texts}
            onInput={(event) => set({ texts: event.currentTarget.value })}
          />
          <p class="row">
            <button type="button" onClick={() => set({ texts: DEFAULTS.texts })} disabled={settings.texts === DEFAULTS.texts}>
              Begin anew
            </button>
            <span role="status" class="quiet" data-busy={busy}>
              {statusOf(texts, left, shown, busy)}
            </span>
          </p>
          {failure && <p role="alert">{failure}</p>}
        </div>
        {shown && (
          <div>
            <Table texts={shown.question.map((text) => shortened(text, LETTERS))} values={shown.value.values} />
            <Copy label="Copy as code" text={() => similarityProgram(settings, addressOf(models.encoder))} />
          </div>
        )}
      </div>
    </>
  );
}

function statusOf(
  texts: readonly string[],
  left: number,
  shown: { readonly question: readonly string[]; readonly value: { readonly ms: number; readonly fresh: number } } | undefined,
  busy: boolean,
): string {
  if (texts.length < 2) return 'Two sentences are needed at least.';
  const over = left ? ` ${left} more than the ${MOST} that fit are left out.` : '';
  if (!shown) return busy ? `Comparing …${over}` : over;
  // While a newer table is on its way, what is said is of the one that is there.
  const { question, value } = shown;
  return `${question.length} sentences, ${value.fresh} read anew, in ${Math.max(1, Math.round(value.ms))} ms.${over}`;
}

function Table({ texts, values }: { texts: readonly string[]; values: Float32Array }) {
  const n = texts.length;
  const share = sharesOf(values, n);
  return (
    <figure>
      <figcaption>
        Cosines of their vectors: 1 for the same, 0 for nothing in common. Look for the deepest colour off the diagonal; the nearest of each
        row has a frame.
      </figcaption>
      <section class="scrolls" aria-label="Similarities" tabIndex={0}>
        <table class="similarity">
          <thead>
            <tr>
              <td />
              {texts.map((text, j) => (
                <th key={`${j} ${text}`} scope="col">
                  {j + 1}
                  <span class="unseen">: {text}</span>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {texts.map((text, i) => {
              const nearest = nearestOf(values, n, i);
              return (
                <tr key={`${i} ${text}`}>
                  <th scope="row">
                    <b>{i + 1}</b> <bdi>{text}</bdi>
                  </th>
                  {texts.map((other, j) => {
                    const x = values[i * n + j] as number;
                    const kind = i === j ? 'self' : j === nearest ? 'nearest' : '';
                    return (
                      <td key={`${j} ${other}`} class={kind} style={{ '--share': i === j ? 0 : share(x).toFixed(3) }}>
                        {x.toFixed(2).replace('-', '−')}
                        {j === nearest && <span class="unseen">, the nearest</span>}
                      </td>
                    );
                  })}
                </tr>
              );
            })}
          </tbody>
        </table>
      </section>
    </figure>
  );
}
