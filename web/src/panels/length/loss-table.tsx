import { Figure } from '../../ui/figure.tsx';
import { meanLoss, rise } from './results.ts';
import { bytes, type Shown, signed, verdictOf } from './say.ts';
import { SCHEMES, TRAINED } from './schemes.ts';
import type { Known } from './use-losses.ts';

interface LossTableProps {
  readonly shown: Shown;
  /** PyTorch's losses of all of the held-out text. */
  readonly known: Known | undefined;
  /** All of it is read. */
  readonly whole: boolean;
}

/** Nats a byte by which two ways of rounding f32 may differ. */
const ROUNDING = 0.0002;

/** Losses as numbers, with PyTorch's beside them. */
export function LossTable({ shown: { results, schemes, windows }, known, whole }: LossTableProps) {
  const cells = schemes.map((scheme) => ({
    scheme,
    row: windows.map((window) => ({
      window,
      loss: meanLoss(results, scheme, window),
      torch: known?.[scheme]?.loss[window],
      risen: window === TRAINED ? undefined : rise(results, scheme, window, TRAINED),
    })),
  }));
  const apart = cells.flatMap(({ row }) =>
    row.flatMap(({ loss, torch }) => (loss === undefined || torch === undefined ? [] : [Math.abs(loss - torch)])),
  );
  if (!schemes.length || !windows.length) return null;
  return (
    <Figure wide title={titleOf(known !== undefined, whole, apart)}>
      <section class="scrolls" tabIndex={0} aria-label="Losses as numbers">
        <table class="losses">
          <thead>
            <tr>
              <th scope="col">nats a byte</th>
              {windows.map((window) => (
                <th key={window} scope="col">
                  {bytes(window)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {cells.map(({ scheme, row }) => (
              <tr key={scheme}>
                <th scope="row">{SCHEMES[scheme].title}</th>
                {row.map(({ window, loss, torch, risen }) => (
                  <td key={window} class={risen && verdictOf(risen) === 'fails' ? 'fails' : ''}>
                    {loss === undefined ? '–' : loss.toFixed(4)}
                    {risen && <span class="quiet"> {signed(risen.mean)}</span>}
                    {torch !== undefined && <small class="quiet">PyTorch {torch.toFixed(4)}</small>}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </Figure>
  );
}

/** How it compares with PyTorch, as far as it can be compared. */
function titleOf(known: boolean, whole: boolean, apart: readonly number[]): string {
  const title = `Mean losses, and how much they have risen from windows of ${TRAINED}; coloured where a scheme has failed.`;
  if (!known) return title;
  if (!whole) return `${title} PyTorch’s are of all 20,000 bytes: they compare with “all”.`;
  if (!apart.length) return title;
  const most = Math.max(...apart);
  const words = `${apart.length} losses differ from PyTorch’s, which are given to four digits, by at most ${most.toFixed(5)}`;
  return `${title} ${words}${most <= ROUNDING ? '' : ': more than the rounding of f32 explains'}.`;
}
