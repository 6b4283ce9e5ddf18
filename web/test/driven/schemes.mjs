// The panel Schemes: every scheme, dragging, comparison, mistakes, keys, the address, the program to copy.
export const name = 'schemes';

/** The newest settings are shown. */
const SHOWN = `document.querySelector('.schemes-panel .shown[aria-busy=false]') !== null && document.querySelector('.schemes-panel canvas') !== null`;
const CAPTIONS = `[...document.querySelectorAll('.maps figcaption')].map((caption) => caption.textContent)`;
/** Colours of the first pictures that are not alike, which is what an empty one has not. */
const COLOURS = `[...document.querySelectorAll('.maps canvas')].map((canvas) => new Set(new Uint32Array(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size)`;
const MS = `Number(lab.text('.schemes-panel .apart .number').match(/computed in ([\\d.]+) ms/)[1])`;

const shown = (lab, what) => lab.until(SHOWN, what);
/** Pictures are painted a frame or two after what they show is there. */
const painted = (lab, truth, what) => lab.until(`((colours) => ${truth})(${COLOURS})`, what);
const set = async (lab, label, value) => {
  await lab.eval(`lab.set(${JSON.stringify(label)}, ${JSON.stringify(value)})`);
  await shown(lab, `${label} = ${value} is shown`);
};

async function opens(lab) {
  await lab.open('#/schemes');
  await shown(lab, 'the panel is computed as it opens');
  await painted(lab, 'colours.length === 3 && colours.every((n) => n > 20)', 'three pictures are drawn');
  const texts = await lab.eval(`[...document.querySelectorAll('.maps output')].map((one) => one.textContent)`);
  lab.check(
    'each says the value of the pair that is chosen',
    texts.every((text) => /^query 96, key 0, distance 96: −?[\d.]+(e−\d+)?$/.test(text)),
    texts,
  );
  await lab.axe('the panel as it opens');
}

async function everyScheme(lab) {
  const names = await lab.eval(`[...lab.field('Scheme').options].map(({ value }) => value)`);
  lab.check('all 35 encodings and none are there', names.length === 36, names.length);
  const found = await lab.eval(`(async () => {
    const found = [];
    for (const scheme of ${JSON.stringify(names)}) {
      lab.set('Scheme', scheme);
      await lab.frame();
      const drawn = (colours) => colours.length === 3 && colours[1] > 1 && (scheme === 'none' || colours[0] > 1);
      const done = await lab.until(() => ${SHOWN} && drawn(${COLOURS}), 10000);
      found.push({ scheme, done, alerts: lab.text('main [role=alert]'), colours: ${COLOURS}, look: lab.text('.look') });
    }
    return found;
  })()`);
  const faults = found.filter((one) => !one.done || one.alerts || one.look.length < 30);
  lab.check('each is computed and drawn', found.length === 36 && faults.length === 0, faults);
}

async function drags(lab) {
  await lab.open('#/schemes?L=256');
  await shown(lab, 'the panel at 256 is computed');
  // Each frame moves the slider; the times of all answers are kept.
  await lab.eval(`globalThis.drag = async () => {
    globalThis.dragging = true;
    for (let notch = 100; notch < 900; notch += 20) { lab.set('θ', notch); await lab.frame(); times.push(${MS}); }
    await lab.until(() => ${SHOWN}, 5000);
    globalThis.dragging = false;
  }, globalThis.times = [], globalThis.dragging = false, 1`);
  const gap = await lab.gaps('drag()', '!dragging');
  lab.check('frames go on while a slider is dragged', gap <= 60, `${gap.toFixed(0)} ms`);
  const times = await lab.eval('times');
  const least = Math.min(...times);
  lab.check('256 × 256 is computed anew in under 50 ms', least < 50, `${least} ms`);
  console.log(`lab: ${lab.browser}, schemes: 256 × 256 in ${least} ms, the longest gap ${gap.toFixed(0)} ms`);
  const end = await lab.eval(`({ value: lab.text('output[for="' + lab.field('θ').id + '"]'), shown: ${SHOWN} })`);
  lab.check('the last place of the slider is what is shown', end.shown && Number(end.value) > 1e5, end);
}

async function compares(lab) {
  await lab.open('#/schemes?a=t5&L=64');
  await shown(lab, 'T5 is computed');
  await set(lab, 'Compare with a second scheme', true);
  lab.check('two schemes have six pictures', (await lab.eval(CAPTIONS)).length === 6, await lab.eval(CAPTIONS));
  await set(lab, 'Second scheme', 't5');
  await set(lab, 'Shown', 'difference');
  lab.check('the same scheme twice has two names', (await lab.eval(CAPTIONS))[0] === 'Bias: T5 buckets less T5 buckets, second');
  await painted(lab, 'colours.length === 3 && colours.every((n) => n === 1)', 'a scheme less itself is the same everywhere');
  await set(lab, 'Second scheme', 'kerple');
  const captions = await lab.eval(CAPTIONS);
  lab.check('the difference says of which', captions[0] === 'Bias: T5 buckets less KERPLE', captions);
  await painted(lab, 'colours.length === 3 && colours[0] > 20', 'a scheme less another is not');
  await lab.axe('two schemes as a difference');
  await lab.open('#/schemes?a=swin&b=beit');
  await shown(lab, 'two windows of different sizes');
  const { notes, pictures } = await lab.eval(`({ notes: lab.text('.shown [role=status]'), pictures: ${CAPTIONS}.length })`);
  lab.check('what cannot be compared is said', notes.includes('class token') && pictures === 3, { notes, pictures });
}

async function mistakes(lab) {
  await lab.open('#/schemes?L=64');
  await shown(lab, 'the panel is computed');
  const titles = await lab.eval(
    `[...lab.button('To the panel').ownerDocument.querySelectorAll('fieldset')].find((set) => set.textContent.startsWith('Classic')).innerText.trim().split('\\n').slice(1).map((line) => line.trim()).filter(Boolean)`,
  );
  lab.check('there are five mistakes', titles.length === 5, titles);
  for (const title of titles) {
    await set(lab, title, true);
    const { captions, look } = await lab.eval(`({ captions: ${CAPTIONS}, look: lab.text('.look') })`);
    lab.check(`${title}: right and wrong, and what one sees`, captions.length === 6 && look.startsWith(title) && /[Ww]rong/.test(look), {
      captions,
      look,
    });
    await set(lab, 'Shown', 'difference');
    await painted(lab, 'colours.length === 3 && colours[2] > 5', `${title}: right and wrong differ`);
    await set(lab, 'Shown', 'beside');
  }
  await lab.axe('a mistake');
}

async function keys(lab) {
  await lab.open('#/schemes?L=32&query=5');
  await shown(lab, 'the panel is computed');
  await lab.eval(`lab.field('Score before').focus()`);
  for (const key of ['ArrowDown', 'ArrowDown', 'ArrowRight', 'Enter']) await lab.press(key);
  await lab.until(`lab.text('.shown > figure').includes('Attention of query 7,')`, 'the arrow keys and Enter choose a query');
  await lab.until(`location.hash.includes('query=7&key=1')`, 'the address holds it');
}

/** A click at a share of a picture's width and height. */
const click = (label, x, y) => `(() => {
  const box = lab.field(${JSON.stringify(label)});
  const { left, top, width, height } = box.querySelector('canvas').getBoundingClientRect();
  box.dispatchEvent(new MouseEvent('click', { bubbles: true, clientX: left + ${x} * width, clientY: top + ${y} * height }));
})()`;

async function clicks(lab) {
  await lab.open('#/schemes?a=t5&L=4&S=40');
  await shown(lab, 'few queries and many keys are computed');
  await lab.eval(click('Attention probability', 0.7625, 0.625));
  await lab.until(`location.hash.includes('query=2&key=30')`, 'a click chooses the query and the key under it');
  const { mark, canvas } = await lab.eval(`(() => {
    const cells = lab.field('Attention probability');
    const [mark, canvas] = ['.mark', 'canvas'].map((css) => cells.querySelector(css).getBoundingClientRect());
    return { mark: (mark.top + mark.height / 2 - canvas.top) / canvas.height, canvas: canvas.height };
  })()`);
  lab.check('the mark stands where the cell is', Math.abs(mark - 0.625) < 0.02, { mark, canvas });
}

async function address(lab) {
  await lab.open('#/schemes');
  await shown(lab, 'the panel is computed');
  await set(lab, 'Scheme', 'fire');
  await set(lab, 'L, threshold', 17);
  await set(lab, 'S, keys', 200);
  await set(lab, 'c, softcap', 30);
  await set(lab, 'ν', 0.5);
  await lab.until(`location.hash.includes('spread=0.5')`, 'the address is written');
  const [hash, before] = await lab.eval(`[location.hash, lab.text('.maps output')]`);
  await lab.open(hash);
  await shown(lab, 'the address is computed');
  const [again, after] = await lab.eval(`[location.hash, lab.text('.maps output')]`);
  lab.check('the address brings the same numbers back', again === hash && after === before, { hash, again, before, after });
  await lab.open(
    '#/schemes?a=zzz&a.theta=x&b=%3Cb%3E&L=9999&S=-4&head=77&mistake=constructor&query=1e9&window=..&softcap=∞&shared=__proto__',
  );
  await shown(lab, 'a hostile address is computed');
  const alerts = await lab.eval(`lab.text('main [role=alert]')`);
  lab.check('what an address says wrongly is left out', alerts === '', alerts);
}

async function copies(lab) {
  await lab.open('#/schemes?a=shaw&b=rotary');
  await shown(lab, 'the panel is computed');
  await lab.eval(`navigator.clipboard ? (navigator.clipboard.writeText = async (text) => { globalThis.copied = text; }, 1) : 1`);
  await lab.eval(`lab.press('Copy as code')`);
  await lab.until(`globalThis.copied || lab.text('pre')`, 'the program is copied, or shown');
  const program = await lab.eval(`globalThis.copied ?? lab.text('pre')`);
  lab.check('the program imports what it uses', program.includes("createEngine, rotary, shaw } from 'relpos'"), program.slice(0, 300));
  await lab.eval(`(Object.defineProperty(navigator, 'clipboard', { value: undefined, configurable: true }), 1)`);
  await lab.eval(`lab.press('Copy as code')`);
  await lab.until(`lab.text('pre').includes('createEngine')`, 'where the page may not copy, the program is shown');
  const over = await lab.eval(`document.documentElement.scrollWidth - innerWidth`);
  lab.check('and the page is no wider for it', over <= 0, over);
}

export async function drive(lab) {
  for (const part of [opens, everyScheme, drags, compares, mistakes, keys, clicks, address, copies]) await part(lab);
}
