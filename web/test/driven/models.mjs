// Whole models in the page: sentences, words that look, a story, and files of one's own.
import { readdirSync, readFileSync } from 'node:fs';

export const name = 'models';

const cells = `[...document.querySelectorAll('.similarity tbody td')].map((cell) => parseFloat(cell.textContent.replace('−', '-')))`;
const compared = `document.querySelector('.similarity') && document.querySelector('[data-busy]').dataset.busy === 'false'`;
const filesSaid = `lab.text('.files-status')`;
const filesDone = `document.querySelector('.files-status').dataset.busy === 'false'`;

const checkpoint = (model, but = []) => {
  const folder = new URL(`../../../test/models/checkpoints/${model}/`, import.meta.url);
  return readdirSync(folder)
    .filter((file) => !file.startsWith('reference') && !but.includes(file))
    .map((file) => ({ name: `${model}/${file}`, base64: readFileSync(new URL(file, folder)).toString('base64') }));
};

/** The table is there without a touch, and follows what is typed. */
async function sentences(lab) {
  await lab.open('#/models');
  await lab.until(compared, 'sentences are compared without a touch', 60_000);
  const first = await lab.eval(cells);
  const near = (x, y) => Math.abs(x - y) < 0.011;
  lab.check('six sentences are compared', first.length === 36, first);
  lab.check('paraphrases are near, others far', near(first[1], 0.84) && near(first[2 * 6 + 3], 0.8) && near(first[5], -0.07), first);
  lab.check('the nearest of each row is marked', (await lab.eval(`document.querySelectorAll('.similarity .nearest').length`)) === 6);
  await lab.axe('a table of similarities');
  await lab.eval(`lab.set('Sentences', 'A dog barks.\\nA hound is barking.')`);
  await lab.until(`${cells}.length === 4 && ${compared}`, 'the table follows');
  const cut = await lab.eval(`lab.text('.model')`);
  lab.check('how much of a text is read is said', /; what is longer than [\d,]+ tokens is cut\.$/.test(cut), cut);
  await lab.eval(`lab.set('Sentences', 'שלום עולם\\n' + 'word and sea '.repeat(2000))`);
  await lab.until(`lab.text('.similarity tbody').includes('שלום') && ${compared}`, 'a line from right to left, and one of 26,000 letters');
  const { direction, letters } = await lab.eval(
    `({ direction: getComputedStyle(lab.field('Sentences')).direction, letters: lab.text('.similarity').length })`,
  );
  lab.check('the first is written so, and the second shortened', direction === 'rtl' && letters < 2000, { direction, letters });
  await lab.eval(`lab.set('Sentences', 'A dog barks.\\nA hound is barking.')`);
  await lab.until(`lab.text('.similarity tbody').includes('hound') && ${compared}`, 'the table follows again');
  const hash = `#/models?texts=A+dog+barks.%0AA+hound+is+barking.`;
  await lab.until(`location.hash === '${hash}'`, 'the address says what is compared');
  await lab.eval(`lab.set('Sentences', 'Alone.')`);
  await lab.until(
    `lab.text('.models [role=status]').includes('Two sentences are needed') && !document.querySelector('.similarity')`,
    'one is none to compare',
  );
}

/** Words look, by layer and head; the address brings the same picture back. */
async function words(lab) {
  await lab.open('#/models?part=words&text=The+cat+sleeps.&layer=2&head=3&token=2');
  const chosen = `document.querySelector('.tokens [aria-pressed=true]')`;
  await lab.until(chosen, 'words look', 60_000);
  const row = `[...document.querySelectorAll('.tokens button')].map((one) => parseFloat(one.querySelector('small').textContent))`;
  const found = await lab.eval(
    `({ row: ${row}, chosen: lab.nameOf(${chosen}), values: [lab.field('Layer').value, lab.field('Head').value] })`,
  );
  lab.check('what the address says is chosen', found.chosen.startsWith('cat ') && found.values.join() === '1,2', found);
  lab.check('the shares of a word sum to 100', Math.abs(found.row.reduce((a, b) => a + b, 0) - 100) <= found.row.length / 2, found.row);
  await lab.eval(`document.querySelector('.tokens button').click()`);
  await lab.until(`lab.text('.said').startsWith('“The” looks most at')`, 'another word is chosen');
  await lab.eval(`lab.set('Head', 'mean of all')`);
  const hash = '#/models?part=words&text=The+cat+sleeps.&token=1';
  await lab.until(`location.hash === '${hash}'`, 'the address follows');
  await lab.axe('words that look');
  await lab.eval(`lab.set('Sentence', 'word '.repeat(200))`);
  await lab.until(`lab.text('.models [role=alert]').includes('at most 128 tokens')`, 'a sentence too long is told so');
  await lab.eval(`lab.set('Sentence', 'A dog.')`);
  await lab.until(`lab.text('.tokens').startsWith('A ') && !document.querySelector('.models [role=alert]')`, 'and the panel goes on');
  await lab.open('#/models?part=words');
  await lab.until(`lab.text('.said').startsWith('“she” looks most at “cat”')`, 'the first picture is the one to see', 60_000);
}

/** Files that are wrong are said so in a sentence, and the panel goes on. */
async function hostile(lab) {
  await lab.open('#/models?part=files');
  await lab.until(`document.querySelector('.drop')`, 'there is a place to drop files');
  const refused = async (what, files, said) => {
    await lab.drop('.drop', files);
    await lab.until(`${filesDone} && ${filesSaid}.includes(${JSON.stringify(said)})`, `${what} is refused`);
    lab.check(
      `${what}: one alert, and nothing is shown`,
      await lab.eval(`document.querySelectorAll('.models [role=alert]').length === 1 && !document.querySelector('.models h3')`),
    );
  };
  await refused('a picture', [{ name: 'cat.png', text: 'x' }], 'is no config.json');
  await refused('what is no JSON', [{ name: 'config.json', text: '{"model_type":' }], 'This file is not JSON');
  await refused('a truncated file', [{ name: 'model.safetensors', base64: 'AAE=' }], 'expected at least 8 bytes');
  const huge = Buffer.concat([Buffer.from([255, 255, 255, 255, 255, 255, 255, 15]), Buffer.from('{}')]).toString('base64');
  await refused('a huge header', [{ name: 'model.safetensors', base64: huge }], 'header expected at most');
  await refused('a folder without a config', checkpoint('bert', ['config.json']), 'has no config.json');
  await lab.axe('a file that was refused');
  await lab.drop('.drop', [
    {
      name: 'config.json',
      text: JSON.stringify({
        model_type: 'llama',
        hidden_size: 4096,
        num_attention_heads: 32,
        rope_theta: 500000,
        max_position_embeddings: 8192,
      }),
    },
  ]);
  await lab.until(`lab.text('.models h3') === 'Positions of llama'`, 'a good config is read after bad ones');
  const said = await lab.eval(`lab.text('.config li')`);
  lab.check(
    'its positions are in words',
    said.includes('all 128 channels of a head turn') && said.includes('The base θ is 500,000.'),
    said,
  );
  lab.check('and a curve', await lab.eval(`document.querySelectorAll('.config canvas').length === 1`));
  const link = await lab.eval(`document.querySelector('.config a').getAttribute('href')`);
  lab.check('and a link to Schemes', link === '#/schemes?a=rotary&a.theta=500000', link);
  await lab.axe('a config');
}

/** A folder is read, loaded, and used in the other parts. */
async function folder(lab) {
  await lab.open('#/models?part=files');
  await lab.until(`document.querySelector('.drop')`, 'there is a place to drop files');
  await lab.drop('.drop', checkpoint('bert'));
  await lab.until(`${filesDone} && lab.button('Load this model')`, 'a folder is read');
  lab.check('its tensors are listed', (await lab.eval(`document.querySelectorAll('.tensors tbody tr').length`)) > 20);
  await lab.axe('a folder');
  await lab.eval(`lab.press('Load this model')`);
  await lab.until(`lab.text('.load').includes('is loaded: bert, which reads texts')`, 'it is loaded');
  await lab.eval(`lab.press('See where its words look')`);
  await lab.until(`lab.text('.tokens').includes('[CLS]')`, 'its words look');
  await lab.open('#/models?part=files');
  await lab.drop('.drop', checkpoint('t5'));
  await lab.until(`${filesDone} && lab.button('Load this model')`, 'another folder is read');
  await lab.eval(`lab.press('Load this model')`);
  await lab.until(
    `lab.text('.load [role=alert]').startsWith('It is a model of another kind')`,
    'a model that the page has no use for is refused',
  );
  await lab.drop('.drop', checkpoint('smollm2'));
  await lab.until(`${filesDone} && lab.text('.models h3').startsWith('Positions of llama')`, 'a third folder is read');
  await lab.eval(`lab.set('Weights in memory', 'i8')`);
  await lab.eval(`lab.press('Load this model')`);
  await lab.until(`lab.text('.load').includes('is loaded: llama, which continues texts')`, 'it is loaded');
  await lab.eval(`lab.press('Continue a text with it')`);
  await lab.until(`Number(document.querySelector('[data-tokens]')?.dataset.tokens) > 10`, 'it continues a text');
}

/** A story comes piece by piece, and stops at once. */
async function story(lab) {
  const said = `lab.text('.story [role=status]')`;
  await lab.open('#/models?part=story&temperature=0&tokens=20');
  await lab.until(`${said}.startsWith('The tokens ended, after 20 tokens.')`, 'a story is written without a touch', 60_000);
  const text = await lab.eval(`lab.text('.story .text')`);
  lab.check('it goes on with the beginning', text.startsWith('There was a certain man') && text.length > 40, text);
  lab.check('tokens a second stand beside it', /^20 tokens, [\d,]+ a second/.test(await lab.eval(`lab.text('.story [data-tokens]')`)));
  await lab.axe('a story');
  await lab.eval(`lab.set('Ends at this text', 'the')`);
  await lab.eval(`lab.press('Write')`);
  await lab.until(`${said}.startsWith('The stop text came')`, 'a stop text ends it');
  await lab.eval(`lab.set('Ends at this text', '')`);
  await lab.eval(`lab.set('Tokens at most', '250')`);
  const waited = await lab.eval(`(async () => {
    lab.press('Write');
    await lab.until(() => Number(document.querySelector('[data-tokens]').dataset.tokens) > 5, 5000);
    const began = performance.now();
    lab.press('Stop');
    await lab.until(() => lab.text('.story [role=status]') === 'Stopped.', 5000);
    const seen = document.querySelector('[data-tokens]').dataset.tokens;
    await lab.pause(200);
    return { ms: performance.now() - began - 200, seen, later: document.querySelector('[data-tokens]').dataset.tokens };
  })()`);
  lab.check(
    'a stop is heard at once, and no token comes behind it',
    waited.ms < 150 && waited.seen === waited.later && Number(waited.seen) < 250,
    waited,
  );
  const gap = await lab.gaps(`lab.press('Write')`, `${said}.startsWith('The tokens ended')`);
  lab.check('no frame waits over 60 ms while it writes', gap <= 60, gap);
}

/** The worker breaks, and with it goes the model. */
async function breaks(lab) {
  await lab.open('#/speed');
  await lab.eval(
    `(globalThis.Worker = class extends Worker { constructor(...values) { super(...values); globalThis.newest = this; } }, 1)`,
  );
  await lab.eval(`(location.hash = '#/models', 1)`);
  await lab.until(compared, 'sentences are compared', 60_000);
  await lab.eval(`(newest.dispatchEvent(new ErrorEvent('error', { message: 'out of memory' })), newest.terminate(), 1)`);
  await lab.until(`lab.text('.model [role=alert]').includes('broke: out of memory')`, 'the failure is said');
  await lab.eval(`lab.press('Load again')`);
  await lab.until(`lab.text('.model').includes('2 layers')`, 'the model is loaded again', 60_000);
  await lab.eval(`lab.set('Sentences', 'One.\\nTwo.\\nThree.')`);
  await lab.until(`${compared} && ${cells}.length === 9`, 'sentences are compared again');
  lab.check('nothing is wrong any more', (await lab.eval(`lab.text('.models [role=alert]')`)) === '');
  const errors = await lab.eval('lab.errors.splice(0)');
  lab.check('the broken worker is the only fault', errors.length === 1 && errors[0].includes('out of memory'), errors);
}

/** The page draws while somebody types. */
async function smooth(lab) {
  await lab.open('#/models');
  await lab.until(compared, 'sentences are compared', 60_000);
  const text = (n) => Array.from({ length: 12 }, (_, i) => `Sentence ${i} of ${n}, about the weather and the sea.`).join('\\n');
  const gap = await lab.gaps(
    `lab.set('Sentences', ${JSON.stringify(text('one'))}.replaceAll('\\\\n', '\\n') + performance.now())`,
    `${compared} && ${cells}.length === 144`,
  );
  lab.check('no frame waits over 60 ms while it compares', gap <= 60, gap);
}

export async function drive(lab) {
  await sentences(lab);
  await words(lab);
  await hostile(lab);
  if (lab.browser !== 'chromium') return;
  await folder(lab);
  await story(lab);
  await breaks(lab);
  await smooth(lab);
}
