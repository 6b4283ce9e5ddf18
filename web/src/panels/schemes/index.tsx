import './style.css';
import { hashOf, useSettings } from '../../address.ts';
import { InputControls } from '../../schemes/controls.tsx';
import { descriptionOf, type Sizes, writeScheme } from '../../schemes/describe.ts';
import { writeInputs } from '../../schemes/inputs.ts';
import { Copy } from '../../ui/copy.tsx';
import type { Cell } from '../../ui/heat-map.tsx';
import { programOf } from './code.ts';
import { findMistake, fitting, readFitting } from './mistakes.ts';
import { obstacle, requestOf } from './request.ts';
import { FIRST, type Settings, writeSettings } from './settings.ts';
import { Call, Mistakes, Schemes } from './settings-controls.tsx';
import { usePictures } from './use-pictures.ts';
import { Curve, Maps, Row } from './views.tsx';

const KINDS = ['added', 'scores', 'probabilities'] as const;

export default function Panel() {
  const [settings, write] = useSettings('schemes', readFitting, writeSettings);
  const set = (next: Settings): void => write(fitting(next));
  const request = requestOf(settings);
  const { answer, error, busy } = usePictures(request);
  const { query, key, view } = settings;
  const L = answer?.request.sizes.L ?? 1;
  const cell: Cell = { i: Math.min(query, L - 1), j: Math.min(key, (answer?.request.sizes.S ?? 1) - 1) };
  const select = ({ i, j }: Cell): void => set({ ...settings, query: i, key: j });
  const address = (): string => new URL(hashOf('schemes', writeSettings(settings)), location.href).href;
  return (
    <div class="schemes-panel">
      <div class="controls choose">
        <Schemes settings={settings} set={set} />
        <Mistakes settings={settings} set={set} />
      </div>
      <div class="shown" aria-busy={busy}>
        <Look settings={settings} />
        {error !== undefined && <p role="alert">This could not be computed: {error}</p>}
        {answer ? (
          <>
            <div class="row apart">
              <span class="quiet number">
                computed in {answer.ms.toFixed(1)} ms on one thread: {answer.request.sizes.H} heads, {L} × {answer.request.sizes.S}
              </span>
              <Copy label="Copy as code" text={() => programOf(request, query, address())} />
            </div>
            <Curve answer={answer} />
            <div class={`maps ${answer.pictures.length > 1 && view === 'beside' ? 'two' : ''}`}>
              {KINDS.map((kind) => (
                <Maps
                  key={kind}
                  kind={kind}
                  answer={answer}
                  cell={cell}
                  onSelect={select}
                  difference={view === 'difference'}
                  alike={findMistake(settings.mistake) !== undefined}
                />
              ))}
            </div>
            <Row answer={answer} query={query} />
            <p class="quiet">
              With the identity matrix as values attention’s output is the matrix of probabilities. A score is the logarithm of a
              probability plus the row’s log-sum-exp; that logarithm is JavaScript’s, for the eye only.
            </p>
            <p>
              <a href={cellHash(settings, cell, answer.request.sizes)}>Take one score of {descriptionOf(settings.first).title} apart</a>,
              step by step.
            </p>
          </>
        ) : (
          error === undefined && <p role="status">Computing …</p>
        )}
      </div>
      <div class="controls more">
        <Call settings={settings} set={set} />
        <InputControls inputs={settings.inputs} onChange={(inputs) => set({ ...settings, inputs })} />
      </div>
    </div>
  );
}

/** The panel Inside a cell at the same scheme, and a pair as far apart as the one that is chosen; it has fewer tokens. */
function cellHash({ first, inputs, asked, head, causal, left, softcap }: Settings, { i, j }: Cell, { L, S }: Sizes): string {
  const tokens = 32;
  const query = Math.min(tokens - 1, i + S - L);
  const key = Math.min(tokens - 1, Math.max(0, query - (i + S - L - j)));
  return hashOf('cell', {
    ...writeScheme(first, 'a', FIRST),
    ...writeInputs(inputs),
    H: String(asked.H),
    D: String(Math.min(64, asked.D)),
    L: String(tokens),
    head: String(head),
    causal: causal ? 'yes' : 'no',
    window: String(left),
    softcap: String(softcap),
    i: String(query),
    j: String(key),
  });
}

/** What to look at. */
function Look({ settings }: { settings: Settings }) {
  const mistake = findMistake(settings.mistake);
  const { first, second } = settings;
  const block = obstacle(settings);
  if (mistake) {
    const same = mistake.same?.(settings);
    return (
      <>
        <p class="look">
          <strong>{mistake.title}.</strong> {mistake.look}
        </p>
        {same && <p role="status">{same}</p>}
      </>
    );
  }
  return (
    <>
      {[first, ...(second ? [second] : [])].map((choice, n) => (
        <p key={n} class="look">
          <strong>{descriptionOf(choice).title}.</strong> {descriptionOf(choice).look}
        </p>
      ))}
      {block && <p role="status">{block}</p>}
    </>
  );
}
