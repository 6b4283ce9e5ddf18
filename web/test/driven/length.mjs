// Models read windows beyond the length of their training.
export const name = 'length';

const done = `!document.querySelector('.length progress') && /^\\d+ loss(es)? of/.test(lab.text('.length .progress [role=status]'))`;
const cells = `[...document.querySelectorAll('.length .losses td')].map((cell) => cell.firstChild.textContent)`;
const said = `lab.text('.length .said')`;

/** Computes on opening; what the address says is chosen, and no more. */
async function opens(lab) {
  await lab.open('#/length?schemes=alibi,rotary&windows=64,256');
  await lab.until(done, 'losses are there without a touch');
  const found = await lab.eval(`({ cells: ${cells}, said: ${said}, boxes: document.querySelectorAll('.length input:checked').length })`);
  lab.check('what the address says is chosen', found.boxes === 4 && found.cells.length === 4, found);
  // Losses of the first 5,120 bytes, which the unit tests hold against PyTorch's for all.
  lab.check('the losses are those of the kernels', found.cells.join() === '1.3300,1.2944,1.2784,2.5378', found.cells);
  lab.check('it is said who holds', found.said.includes('Up to 256 bytes, 4 times as many, ALiBi (−0.04) holds the level.'), found.said);
  lab.check('it is said who fails, and by how much', found.said.includes('from 256 on by rotary (+1.26)'), found.said);
  await lab.axe('losses');
}

/** Another choice, computed on demand; the address follows. */
async function chooses(lab) {
  await lab.eval(`lab.set('Shaw', true)`);
  await lab.eval(`lab.set('256', false)`);
  await lab.eval(`lab.set('Windows of', '64')`);
  await lab.until(`!lab.button('Compute').disabled`, 'another scheme is to be computed');
  await lab.eval(`lab.press('Compute')`);
  await lab.until(`${done} && ${cells}.every((cell) => cell !== '–')`, 'its loss is there');
  lab.check('only what was missing is computed', (await lab.eval(`lab.text('.length .progress [role=status]')`)).startsWith('1 loss of'));
  const hash = 'schemes=shaw%2Calibi%2Crotary&windows=64&at=64';
  await lab.until(`location.hash === '#/length?${hash}'`, 'the address says what is chosen');
  await lab.eval(`location.hash = '#/cell'`);
  await lab.until(`document.querySelector('.panel.cell')`, 'another panel is there');
  await lab.eval(`location.hash = '#/length?${hash}'`);
  await lab.until(`${cells}.length === 3 && !${cells}.includes('–')`, 'whoever comes back finds the losses');
  lab.check('nothing is computed again', (await lab.eval(`lab.text('.length .controls')`)).includes('All that is chosen is computed.'));
}

/** A text of one's own: too short, then long enough. */
async function ownText(lab) {
  await lab.open('#/length?text=own&schemes=none&windows=64,128');
  await lab.until(`${cells}.length === 0 && document.querySelector('#own-text')`, 'there is a field for a text, and none yet');
  lab.check('nothing is computed of no text', await lab.eval(`lab.button('Compute').disabled`));
  await lab.eval(`lab.set('Your text', 'Jesus wept. 中')`);
  await lab.until(`lab.text('.length [role=alert]').startsWith('15 bytes. A window of 64 needs 65.')`, 'a text too short is told so');
  await lab.axe('a text too short');
  await lab.eval(`lab.set('Your text', 'Now the word of the LORD came unto Jonah the son of Amittai, saying.')`);
  await lab.until(`!lab.button('Compute').disabled`, 'a longer one can be computed');
  await lab.eval(`lab.press('Compute')`);
  await lab.until(done, 'its losses are there');
  const found = await lab.eval(`({ cells: ${cells}, alerts: lab.text('.length [role=alert]'), main: lab.text('.length .controls') })`);
  lab.check('windows that the text fills are computed', found.cells.length === 1 && Number(found.cells[0]) > 0.5, found);
  lab.check('those that it does not fill are named', found.main.includes('Windows of 128 need 129.') && found.alerts === '', found);
}

/** The page draws while the worker computes, and a stop is heard at once. */
async function smooth(lab) {
  await lab.open('#/length?text=own&schemes=shaw,t5,rotary&windows=64,1024');
  await lab.until(`lab.field('Your text')`, 'there is a field for a text');
  const begin = `(async () => {
    lab.set('Your text', 'And God said, Let there be light: and there was light. '.repeat(40) + performance.now());
    await lab.until(() => !lab.button('Compute').disabled, 5000);
    lab.press('Compute');
  })()`;
  const gap = await lab.gaps(begin, done);
  lab.check('no frame is missed for 60 ms while it computes', gap <= 60, `${gap} ms`);
  await lab.open('#/length?text=all');
  await lab.until(
    `document.querySelectorAll('.length progress').length && ${cells}.some((cell) => cell !== '–')`,
    'the first losses of all',
  );
  const began = await lab.eval(`(lab.press('Stop'), performance.now())`);
  await lab.until(`lab.text('.length .progress [role=status]') === 'Stopped.'`, 'it stops');
  const ended = await lab.eval('performance.now()');
  lab.check('a stop is heard within a second', ended - began < 1000, `${ended - began} ms`);
  const left = await lab.eval(cells);
  lab.check('what was computed stays', left.some((cell) => cell !== '–') && left.includes('–'), left);
  await lab.eval(`lab.press('Compute')`);
  await lab.until(`document.querySelector('.length progress')`, 'it goes on');
}

/** All of the text by all schemes, in the shortest and the longest windows: PyTorch's numbers. */
async function whole(lab) {
  await lab.open('#/length?text=all&windows=64,1024');
  await lab.until(done, 'all losses are there', 90_000);
  const { caption, cells: all } = await lab.eval(`({ caption: lab.text('.length figure:last-of-type figcaption'), cells: ${cells} })`);
  lab.check('18 losses are computed', all.length === 18 && all.every((cell) => cell !== '–'), all);
  const most = Number(/18 losses differ from PyTorch’s, .* by at most (0\.\d+)/.exec(caption)?.[1]);
  lab.check('they are PyTorch’s', most <= 0.0001, caption);
  lab.check(
    'the best of the ways to stretch rotary are named',
    (await lab.eval(said)).includes('long windows: at 1,024 rotary NTK and rotary YaRN.'),
    await lab.eval(said),
  );
}

export async function drive(lab) {
  await opens(lab);
  await chooses(lab);
  await ownText(lab);
  await smooth(lab);
  if (lab.browser === 'chromium') await whole(lab);
}
