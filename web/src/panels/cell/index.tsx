import { wrap } from 'comlink';
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { hashOf, useSettings } from '../../address.ts';
import { descriptionOf, writeScheme } from '../../schemes/describe.ts';
import { Copy } from '../../ui/copy.tsx';
import { Figure } from '../../ui/figure.tsx';
import { HeatMap } from '../../ui/heat-map.tsx';
import { useLatest } from '../../ui/latest.ts';
import { sizesOf } from './asked.ts';
import { programOf } from './code.ts';
import type { Answer, CellApi } from './compute.ts';
import { CallSettings, SchemeSettings } from './controls.tsx';
import { type Light, type PartName, ProbabilityFormula, ScoreFormula } from './formula.tsx';
import { percent } from './numbers.ts';
import { readSettings, type Settings, within, writeSettings } from './settings.ts';
import { HalvesStep, SoftmaxSteps } from './softmax-steps.tsx';
import { BiasSteps, ContentSteps, ScoreStep, SumSteps, TermSteps } from './steps.tsx';
import type { Explanation } from './types.ts';
import './style.css';
import { startWorker } from '../../start-worker.ts';

/** What of the settings has to be computed. */
const keyOf = ({ halves: _, ...question }: Settings): string => JSON.stringify(question);

/** A worker, and a promise that fails when it does: it answers nothing then. */
function start() {
  const worker = startWorker('cell');
  const broken = new Promise<never>((_, reject) => {
    const text = 'The worker that computes failed. What you change next is asked of a new one.';
    worker.addEventListener('error', () => reject(new Error(text)), { once: true });
  });
  broken.catch(() => {});
  return { worker, api: wrap<CellApi>(worker), broken };
}

/** The worker of the panel, as long as it is open, as a function that asks it. One that breaks is replaced at the next question. */
function useWorker(): (settings: Settings) => Promise<Answer> {
  const made = useRef<ReturnType<typeof start> | undefined>(undefined);
  useEffect(() => () => made.current?.worker.terminate(), []);
  return useCallback(({ i, j, block, halves: _, ...asked }) => {
    const mine = made.current ?? start();
    made.current = mine;
    mine.broken.catch(() => {
      mine.worker.terminate();
      if (made.current === mine) made.current = undefined;
    });
    return Promise.race([mine.api.explain(asked, { i, j, block }), mine.broken]);
  }, []);
}

export default function Panel() {
  const [settings, set] = useSettings('cell', readSettings, writeSettings);
  const { answer, of, failure } = useLatest(settings, keyOf(settings), useWorker());
  const busy = failure === undefined && (!of || keyOf(of) !== keyOf(settings));
  const { i, j, halves } = settings;
  const address = (): string => new URL(hashOf('cell', writeSettings(settings)), location.href).href;
  return (
    <>
      <p>
        A cell is a query and a key. Choose one by a click, or with the arrow keys: below stands the formula of its score and of its
        probability, with the engine’s number for every part. Pressed, a part leads to its step.
      </p>
      <div class="sides">
        <SchemeSettings settings={settings} set={set} />
        <div class="shown" aria-busy={busy}>
          {failure !== undefined && <p role="alert">{failure}</p>}
          {answer && of ? (
            <>
              <Matrix
                settings={of}
                probabilities={answer.matrix.probabilities}
                i={i}
                j={j}
                onSelect={(cell) => set(within({ ...settings, ...cell }))}
              />
              <Cell cell={answer.cell} settings={of} halves={halves} />
              <Copy label="Copy as code" text={() => programOf({ asked: of, cell: answer.cell, halves, address: address() })} />
            </>
          ) : (
            failure === undefined && <p role="status">Computing …</p>
          )}
        </div>
        <CallSettings settings={settings} set={set} />
      </div>
    </>
  );
}

interface MatrixProps {
  readonly settings: Settings;
  readonly probabilities: Float32Array;
  readonly i: number;
  readonly j: number;
  readonly onSelect: (cell: { readonly i: number; readonly j: number }) => void;
}

/** The probabilities of the head, in which a cell is chosen. */
function Matrix({ settings, probabilities, i, j, onSelect }: MatrixProps) {
  const { L, S } = sizesOf(settings);
  const { title } = descriptionOf(settings.scheme);
  return (
    <Figure title={`${title}: probabilities of head ${settings.head}`}>
      <HeatMap
        label={`Attention probabilities of head ${settings.head}`}
        rows={L}
        columns={S}
        values={probabilities}
        selected={{ i: Math.min(i, L - 1), j: Math.min(j, S - 1) }}
        onSelect={onSelect}
        follows
        say={({ i, j }, p) => `query ${i}, key ${j}: ${Number.isFinite(p) ? percent(p) : 'hidden'}`}
      />
      <a href={hashOf('schemes', writeScheme(settings.scheme, 'a', 'rotary'))}>The whole scheme</a>
    </Figure>
  );
}

interface CellProps {
  readonly cell: Explanation;
  readonly settings: Settings;
  readonly halves: boolean;
}

/** The formula, and its steps. */
function Cell({ cell, settings, halves }: CellProps) {
  const [lit, light] = useState<PartName>();
  const steps = useRef<HTMLOListElement>(null);
  const go = (part: PartName): void => {
    const step = steps.current?.querySelector<HTMLElement>(`#step-${part}`);
    step?.scrollIntoView({ block: 'nearest' });
    step?.focus({ preventScroll: true });
    light(part);
  };
  const shared: Light = { lit, light, go };
  return (
    <>
      <h3>
        Query {cell.i}, key {cell.j},{' '}
        {cell.offset === 0 ? 'at the same place' : `${Math.abs(cell.offset)} ${cell.offset < 0 ? 'before it' : 'behind it'}`}
      </h3>
      <ScoreFormula cell={cell} {...shared} />
      <ProbabilityFormula cell={cell} {...shared} />
      <ol class="steps" ref={steps}>
        <ContentSteps cell={cell} {...shared} />
        <TermSteps cell={cell} kind="query" {...shared} />
        <TermSteps cell={cell} kind="key" {...shared} />
        <SumSteps cell={cell} softcap={settings.softcap || undefined} {...shared} />
        <BiasSteps cell={cell} {...shared} />
        <ScoreStep cell={cell} {...shared} />
        <SoftmaxSteps cell={cell} {...shared} />
        {halves && (
          <li class="step halves">
            <h4>in two halves</h4>
            <HalvesStep halves={cell.halves} j={cell.j} />
          </li>
        )}
      </ol>
    </>
  );
}
