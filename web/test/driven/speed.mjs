// The benchmark in the page: what the device gives, a run and its bits, a stop, the comparison, and hosts that give one thread.
import { SMOOTH_MS } from '../lab.mjs';

export const name = 'speed';

const CASE = 'decode/2047xH32G8x64';
const SMALL = 'attention/128x12x64';
const OTHERS = /(^|\/)onnxruntime\//;

const said = (section) => `lab.text('[aria-labelledby=${section}] [role=status], [aria-labelledby=${section}] [role=alert]')`;
const done = "lab.text('.controls .progress').includes('Done')";
const rows = "document.querySelectorAll('[aria-labelledby=results] tbody tr').length";

async function opened(lab) {
  await lab.open('#/speed');
  await lab.until("lab.text('.device').includes('SIMD: yes')", 'the device is described');
  const device = await lab.eval("lab.text('.device')");
  lab.check(
    'threads are those of the device',
    /Threads: \d+, all that/.test(device) || /One thread: this device has one core/.test(device),
    device,
  );
  lab.check('nothing is compared before a run', (await lab.eval("lab.text('.verdict')")).startsWith('not compared yet'));
  const cores = await lab.eval('navigator.hardwareConcurrency');
  if (cores === 1) return; // There is nothing to choose.
  const slider = await lab.eval("(({ value, max }) => [Number(value), Number(max)])(lab.field('Threads'))");
  lab.check('one core is left to the page', slider[0] === cores - 1 && slider[1] === cores, slider);
}

async function runs(lab) {
  await lab.open(`#/speed?cases=${CASE}&threads=1`);
  const gap = await lab.gaps("lab.press('Run the benchmark')", done);
  lab.check(`no frame gap above ${SMOOTH_MS} ms while it runs`, gap <= SMOOTH_MS, gap);
  const verdict = await lab.eval("lab.text('.verdict')");
  lab.check('the bits are those of Node', verdict.startsWith('same bits This browser computed the same bits as Node'), verdict);
  const table = await lab.eval("lab.text('[aria-labelledby=results] tbody')");
  lab.check('a row has a rate', (await lab.eval(rows)) === 1 && /a step of decoding.*\d GB\/s.*✓ same/.test(table), table);
  await lab.eval(`lab.set('Case', ${JSON.stringify(CASE)})`);
  await lab.until("lab.text('[aria-labelledby=beside] tbody').startsWith('this browser')", 'this browser is among the published runs');
  await lab.eval("lab.set('Shown as', 'tokens')");
  await lab.until("/\\d tokens\\/s/.test(lab.text('[aria-labelledby=results] tbody'))", 'rows show tokens a second');
  await copies(lab);
  const hash = await lab.eval('location.hash');
  await lab.eval("location.hash = '#/cell'");
  await lab.until("document.querySelector('.panel.cell') !== null", 'another panel is there');
  await lab.eval(`location.hash = ${JSON.stringify(hash)}`);
  await lab.until(`${rows} === 1 && lab.text('.verdict').startsWith('same bits')`, 'whoever comes back finds the result');
}

async function copies(lab) {
  await lab.eval("Object.defineProperty(navigator, 'clipboard', { value: { writeText: async (text) => { globalThis.copied = text; } } })");
  await lab.eval("lab.press('Copy as JSON')");
  await lab.until('globalThis.copied', 'the result is copied');
  const result = JSON.parse(await lab.eval('globalThis.copied'));
  const [row] = result.rows;
  lab.check(
    'what is copied is a result of relpos bench',
    result.format === 'relpos-bench' && row.case === CASE && row.ms > 0 && result.reference.says === 'same bits',
    result,
  );
}

async function stops(lab) {
  await lab.open('#/speed?threads=1');
  await lab.eval("lab.press('Run the benchmark')");
  await lab.until(`${rows} > 0`, 'the first row is there');
  await lab.eval("lab.press('Stop')");
  await lab.until("lab.text('.controls .progress').includes('Stopped.')", 'the run has stopped');
  const left = await lab.eval(rows);
  lab.check('what was measured stays', left > 0 && left < 9, left);
  await lab.eval('lab.pause(800)');
  lab.check('nothing comes after it', (await lab.eval(rows)) === left);
  // Whoever goes elsewhere stops it too.
  await lab.eval("lab.press('Run the benchmark')");
  await lab.eval("location.hash = '#/cell'");
  await lab.until("document.querySelector('.panel.cell') !== null", 'another panel is there');
}

async function addresses(lab) {
  await lab.open('#/speed?threads=1&precision=int16&cases=all&measure=ms&beside=alibi/512x12x64');
  const found = await lab.eval("['Precision', 'Cases', 'Shown as', 'Case'].map((one) => lab.field(one).value)");
  lab.check('the address holds the settings', found.join() === 'int16,all,ms,alibi/512x12x64', found);
  await lab.eval("lab.set('Precision', 'relaxed')");
  await lab.until("location.hash.includes('precision=relaxed')", 'the address follows');
  await lab.open('#/speed?threads=1000&precision=none&cases=x&measure=y&beside=z');
  const usual = await lab.eval("['Precision', 'Cases', 'Shown as', 'Case'].map((one) => lab.field(one).value)");
  lab.check('what an address has wrong becomes what is usual', usual.join() === 'reproducible,quick,rate,attention/512x12x64', usual);
}

async function compares(lab) {
  await lab.serve();
  // Threads of onnxruntime turn while they wait: more than there are cores make it crawl, and a browser need not know how many there are.
  await lab.open(`#/speed?cases=${SMALL}&threads=${lab.browser === 'chromium' ? 2 : 1}`);
  await lab.until("lab.text('.device').includes('SIMD: yes')", 'the panel is there');
  lab.check(
    'nothing of onnxruntime is loaded before it is asked for',
    lab.asked().length > 3 && !lab.asked().some((path) => OTHERS.test(path)),
    lab.asked(),
  );
  const gap = await lab.gaps("lab.press('Load onnxruntime-web and compare')", `${said('contest')}.includes('Done')`, 60_000);
  lab.check(`no frame gap above ${SMOOTH_MS} ms while it compares`, gap <= SMOOTH_MS, gap);
  const table = await lab.eval("lab.text('[aria-labelledby=contest] tbody')");
  lab.check('the ratio is there', /attention, 128 tokens.*thread.*\d× as fast/.test(table), table);
  lab.check('all of it came from the page itself', lab.asked().filter((path) => OTHERS.test(path)).length >= 3, lab.asked());
  // Once, with all that the panel can show.
  await lab.eval("lab.press('Run the benchmark')");
  await lab.until(done, 'a run after the comparison', 30_000);
  await lab.axe('results and a comparison');
}

/** A host that did not take the files along. */
async function comparesWithout(lab) {
  await lab.serve({ without: 'onnxruntime/manifest.json' });
  await lab.open(`#/speed?cases=${SMALL}`);
  await lab.eval("lab.press('Load onnxruntime-web and compare')");
  await lab.until(`${said('contest')}.includes('there is no onnxruntime/manifest.json')`, 'what is missing is named');
  await lab.eval("lab.set('Cases', 'swin/64x7x7x12x32')");
  await lab.until("lab.button('Load onnxruntime-web').disabled", 'what cannot be compared cannot be asked for');
}

/** No headers, and no service worker that could add them. */
async function alone(lab) {
  await lab.serve({ isolated: false, without: 'isolation.js' });
  await lab.open(`#/speed?cases=${CASE}&threads=2`);
  await lab.until("lab.text('.device').includes('One thread, because the page is not cross-origin isolated')", 'one thread, and why');
  await lab.eval("lab.press('How this page gets threads')");
  lab.check('what helps is said', /Cross-Origin-Opener-Policy: same-origin/.test(await lab.eval("lab.text('.device details[open]')")));
  await lab.axe('the panel with one thread');
  await lab.eval("lab.press('Run the benchmark')");
  await lab.until(done, 'a run on one thread', 30_000);
  lab.check('the bits are the same on one thread', (await lab.eval("lab.text('.verdict')")).startsWith('same bits'));
  await lab.serve();
}

export async function drive(lab) {
  await opened(lab);
  await runs(lab);
  await stops(lab);
  await compares(lab);
  if (lab.browser !== 'chromium') return;
  await addresses(lab);
  await alone(lab);
  await comparesWithout(lab);
}
