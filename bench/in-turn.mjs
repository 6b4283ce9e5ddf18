// Topics `kernels` and `ops`: cases one after the other on an engine of one thread.
import { samplesOf, samplesOfSync, summarize } from './measure.mjs';
import { PEAK_OF } from './peaks.mjs';
import { checked, line, ofPeak, percent, rateOf, show } from './show.mjs';

export async function inTurn(relpos, cases, { budget, precision, sync, peaks }) {
  const engine = await relpos.createEngine({ threads: 1, precision });
  const results = [];
  for (const one of cases) {
    const prepared = await one.prepare(engine);
    const error = await checked(one.id, prepared, precision);
    await peaks.refresh();
    const times = summarize(sync ? samplesOfSync(prepared.runSync, budget) : await samplesOf(prepared.run, budget));
    prepared.dispose();
    const rate = rateOf(one, times.median);
    const share = await peaks.share(ofPeak(one), rate, 1, PEAK_OF[precision]);
    results.push({ name: one.id, ...times, rate, unit: one.unit, share, error });
    line(one.id, times, `${`${show(rate)} ${one.unit}`.padStart(13)}${percent(share).padStart(7)} of peak`);
  }
  engine.dispose();
  return results;
}
