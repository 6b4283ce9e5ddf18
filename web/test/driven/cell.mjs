// A cell of the matrix of probabilities, explained part by part.
export const name = 'cell';

const rests = `document.querySelector('.cell .shown[aria-busy=false] .formula') !== null`;
const part = (which) => `lab.text('.cell .part.of-${which} .number')`;
const place = `lab.text('.cell h3')`;
const number = (words) => Number(words.replace('−', '-').replace(' %', ''));

/** The middle of a cell of L × S. */
const clickOn = (i, j, L, S) => `(() => {
  const cells = document.querySelector('.cell .cells');
  const { left, top, width, height } = cells.getBoundingClientRect();
  const [clientX, clientY] = [left + (width * (${j} + 0.5)) / ${S}, top + (height * (${i} + 0.5)) / ${L}];
  cells.dispatchEvent(new MouseEvent('click', { bubbles: true, clientX, clientY }));
})()`;

/** The numbers are there without a touch, and they are those of the formula. */
async function opens(lab) {
  await lab.open('#/cell?a=alibi&causal=yes&i=10&j=6');
  await lab.until(rests, 'the cell is explained without a touch');
  const names = ['score', 'content', 'scale', 'biases', 'mask', 'probability', 'exp', 'sum'];
  const found = await lab.eval(`({ ${names.map((one) => `${one}: ${part(one)}`).join(', ')} })`);
  const { score, content, scale, biases, mask, probability, exp, sum } = Object.fromEntries(
    Object.entries(found).map(([key, words]) => [key, number(words)]),
  );
  lab.check('ALiBi of head 0 of 8 falls by a half with each step', found.biases === '−2.0000', found);
  lab.check('the scale is 1/√16', scale === 0.25 && mask === 0, found);
  lab.check('the parts add up to the score', Math.abs(scale * content + biases + mask - score) < 2e-4, found);
  lab.check('the probability is the share of the sum', Math.abs(exp / sum - probability) < 1e-4 && probability > 0, found);
  await lab.axe('a cell');
}

/** By pointer and by keys; the address follows. */
async function chooses(lab) {
  await lab.eval(clickOn(12, 3, 16, 16));
  await lab.until(`${rests} && ${place}.startsWith('Query 12, key 3,')`, 'a click chooses a cell');
  await lab.eval(`document.querySelector('.cell .cells').focus()`);
  for (const key of ['ArrowRight', 'ArrowRight', 'ArrowUp']) await lab.press(key);
  await lab.until(`${rests} && ${place} === 'Query 11, key 5, 6 before it'`, 'the arrow keys take the explanation along');
  lab.check('so does the number', (await lab.eval(part('biases'))) === '−3.0000', await lab.eval(part('biases')));
  await lab.until(`location.hash === '#/cell?a=alibi&i=11&j=5'`, 'the address says which cell it is');
  await lab.press('ArrowUp', { shift: true });
  await lab.until(`${rests} && ${place}.startsWith('Query 1, key 5,')`, 'with Shift by ten');
  const hidden = await lab.eval(`({ score: ${part('score')}, mask: ${part('mask')}, said: lab.text('.cell .step.of-mask p') })`);
  lab.check(
    'a hidden key is told so',
    hidden.score === '−∞' && hidden.mask === '−∞' && hidden.said.includes('the key comes later'),
    hidden,
  );
  lab.check('its probability is 0', (await lab.eval(part('probability'))) === '0.0000');
  await lab.eval(`lab.press('mask')`);
  lab.check('a part leads to its step', (await lab.eval('document.activeElement.id')) === 'step-mask');
}

/** Other schemes and options. */
async function sets(lab) {
  await lab.eval(`lab.set('Scheme', 'transformerXL')`);
  await lab.eval(`lab.set('c, softcap', 3)`);
  await lab.eval(`lab.set('a sink', true)`);
  await lab.eval(`lab.set('the keys in two halves', true)`);
  await lab.eval(`lab.set('S, keys', 24)`);
  await lab.until(`${rests} && ${part('contentBias')} !== '' && lab.text('.cell .halves tbody') !== ''`, 'another scheme has other parts');
  const { merged, probability, score, capped, absent } = await lab.eval(
    `({ merged: lab.text('.cell .halves tr:last-child td:last-child'), probability: ${part('probability')}, score: ${part('score')}, capped: ${part('softcap')}, absent: lab.text('.cell .part.absent') })`,
  );
  lab.check('the halves give the same probability', merged === probability && number(merged) > 0, { merged, probability });
  lab.check('there is nothing behind the softcap', score === capped && Math.abs(number(score)) <= 3, { score, capped });
  lab.check('parts that the call does not have stand there empty', absent.includes('bias(i, j)–'), absent);
  await lab.axe('all options');
  const hash = 'a=transformerXL&S=24&softcap=3&i=1&j=5&sink=0&halves=1';
  await lab.until(`location.hash === '#/cell?${hash}'`, 'the address holds all of it');
  await lab.open(`#/cell?${hash}`);
  await lab.until(rests, 'the address is read again');
  const again = await lab.eval(`({ score: ${part('score')}, probability: ${part('probability')} })`);
  lab.check('it brings the same numbers', again.score === score && again.probability === probability, again);
}

/** What no one would write. */
async function wrongAddress(lab) {
  await lab.open('#/cell?a=nothing&i=abc&j=-5&L=1e9&S=&head=99&D=NaN&softcap=Infinity&sink=x&block=0&causal=%FF');
  await lab.until(rests, 'an address of nonsense opens');
  const alerts = await lab.eval('lab.text("[role=alert]")');
  lab.check('without a fault', alerts === '', alerts);
}

/** A worker that breaks. */
async function breaks(lab) {
  await lab.open('#/speed');
  await lab.eval(
    `(globalThis.Worker = class extends Worker { constructor(...values) { super(...values); globalThis.newest = this; } }, 1)`,
  );
  await lab.eval(`(location.hash = '#/cell', 1)`);
  await lab.until(rests, 'the panel is computed');
  await lab.eval(`(newest.dispatchEvent(new ErrorEvent('error', { message: 'out of memory' })), newest.terminate(), 1)`);
  await lab.eval(`lab.set('Scheme', 'alibi')`);
  await lab.until(
    `lab.text('.cell [role=alert]').startsWith('The worker that computes failed') || ${rests}`,
    'the failure is said, or mended',
  );
  await lab.eval(`lab.set('c, softcap', 5)`);
  await lab.until(`${rests} && lab.text('.cell figcaption').startsWith('ALiBi')`, 'a new worker answers what is changed next');
  lab.check('and nothing is wrong any more', (await lab.eval(`lab.text('.cell [role=alert]')`)) === '');
  const errors = await lab.eval('lab.errors.splice(0)');
  lab.check('the broken worker is the only fault', errors.length === 1 && errors[0].includes('out of memory'), errors);
}

async function copies(lab) {
  await lab.eval(`lab.press('Copy as code')`);
  await lab.until(`/Copied|does not let/.test(lab.text('.cell [role=status]'))`, 'the program is given out');
}

/** A drag through the greatest matrix. */
async function smooth(lab) {
  await lab.open('#/cell?a=deberta&L=32&i=20&j=11');
  await lab.until(rests, 'the largest matrix is explained');
  // The slider is found once, as by a finger: to search it by its name in every frame costs more than the panel itself.
  const drag = `(async () => {
    const slider = lab.field('ν');
    for (let n = 0; n < 20; n++) {
      slider.value = String((n % 2 ? 0.5 : 1) + n / 20);
      slider.dispatchEvent(new Event('input', { bubbles: true }));
      await lab.frame();
    }
  })()`;
  const gap = await lab.gaps(drag, rests);
  lab.check('the page draws while a slider is dragged', gap <= 60, `${gap} ms without a frame`);
}

export async function drive(lab) {
  await opens(lab);
  await chooses(lab);
  await sets(lab);
  await wrongAddress(lab);
  await breaks(lab);
  await lab.open('#/cell');
  await lab.until(rests, 'the panel is computed');
  await copies(lab);
  await smooth(lab);
}
