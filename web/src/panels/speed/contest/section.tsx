import { three } from '../../../ui/numbers.ts';
import { Progress, type useWork } from '../../../ui/work.tsx';
import { inWords } from '../cases.ts';
import type { Settings } from '../settings.ts';
import { comparable, inTimes } from './compare.ts';
import { type ContestFound, runContest } from './found.ts';
import type { ContestRow, PeerRow } from './run.ts';

interface ContestProps {
  readonly settings: Settings;
  readonly cases: readonly string[];
  readonly found: ContestFound | undefined;
  readonly setFound: (found: ContestFound) => void;
  readonly work: ReturnType<typeof useWork>;
  /** Another measurement goes on. */
  readonly busy: boolean;
}

/** relpos beside onnxruntime-web, which is loaded when it is asked for. */
export function Contest({ settings, cases, found, setFound, work: { work, run, stop }, busy }: ContestProps) {
  const listed = comparable(cases);
  const start = (): Promise<void> =>
    run(async (signal, tell) => {
      const { version, rows } = await runContest(settings, listed, signal, setFound, tell);
      return `Done: ${rows.length} ${rows.length === 1 ? 'case' : 'cases'} with onnxruntime-web ${version}.`;
    });
  return (
    <section aria-labelledby="contest">
      <h3 id="contest">Beside onnxruntime-web</h3>
      <p class="quiet">
        The same inputs through its fused operators, on as many threads, in turns; of several ways its fastest counts. Its 14 MB of
        WebAssembly come from this page’s own files, and only when you press the button.
      </p>
      <div class="row">
        <button type="button" disabled={busy || work.busy || listed.length === 0} onClick={start}>
          Load onnxruntime-web and compare
        </button>
        <Progress work={work} stop={stop} label="The comparison" />
      </div>
      {listed.length === 0 && <p class="quiet">It is compared in attention, causal attention and prefill: choose such a case, or all.</p>}
      {found && found.rows.length > 0 && <Table found={found} />}
    </section>
  );
}

function Table({ found: { rows } }: { found: ContestFound }) {
  return (
    <section class="scrolls" tabIndex={0} aria-label="relpos and onnxruntime-web, case by case">
      <table>
        <thead>
          <tr>
            <th scope="col">Case</th>
            <th scope="col">relpos is</th>
            <th scope="col">relpos, ms</th>
            <th scope="col">onnxruntime-web, ms</th>
            <th scope="col">results differ by</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <Line key={row.case} row={row} />
          ))}
        </tbody>
      </table>
    </section>
  );
}

const fastest = ({ peer }: ContestRow): PeerRow | undefined => peer.find(({ ms }) => ms !== undefined);

function Line({ row }: { row: ContestRow }) {
  const { ms, threads, ratio, peer } = row;
  const best = fastest(row);
  return (
    <tr>
      <th scope="row">
        {inWords(row.case)}
        <span class="quiet">, {threads === 1 ? '1 thread' : `${threads} threads`}</span>
      </th>
      <td>{ratio === undefined ? '–' : <b>{inTimes(ratio)}</b>}</td>
      <td class="number">{three(ms)}</td>
      <td>
        {best?.ms === undefined ? (
          peer.map(({ variant, wrong }) => (
            <div key={variant} class="warn">
              {variant}: {wrong}
            </div>
          ))
        ) : (
          <>
            <span class="number">{three(best.ms)}</span> <span class="quiet">{best.variant}</span>
          </>
        )}
      </td>
      <td class="number">{best?.difference === undefined ? '–' : three(best.difference)}</td>
    </tr>
  );
}
