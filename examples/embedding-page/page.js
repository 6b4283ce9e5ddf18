// Sentences that a person types, compared by a model that runs in this page. The page goes on answering while it computes: calls work in slices of
// some milliseconds, on workers too where the page is isolated.
import { loadEncoder } from 'relpos/models';

/** Sentences at most: the table has the square of it. */
const MOST = 32;

const ids = ['form', 'texts', 'model', 'address', 'folder', 'compare', 'stop', 'progress', 'status', 'result', 'host'];
const page = Object.fromEntries(ids.map((id) => [id, document.getElementById(id)]));

let controller;
/** The encoder that was loaded last, and what it was loaded from. */
let kept;

const megabytes = (bytes) => (bytes / 1e6).toFixed(1);

/** What people read, and hear: seldom. What moves is told by the bar alone. */
function say(text) {
  page.status.textContent = text;
}

function show(share, text) {
  page.progress.value = share;
  page.progress.setAttribute('aria-valuetext', text);
}

/** The folder that was chosen, else the address. */
const chosen = () => (page.folder.files.length ? page.folder.files : new URL(page.address.value.trim() || 'model/', location.href).href);

page.address.oninput = () => {
  page.folder.value = '';
  page.model.textContent = page.address.value;
};
page.folder.onchange = () => {
  const [first] = page.folder.files;
  page.model.textContent = first ? first.webkitRelativePath.split('/')[0] : page.address.value;
};

async function load(signal) {
  const source = chosen();
  if (kept?.source === source) return kept.encoder;
  kept?.encoder.dispose();
  kept = undefined;
  say('Loading the model.');
  const onProgress = ({ loaded, total }) => show(loaded / total, `${megabytes(loaded)} of ${megabytes(total)} megabytes`);
  const encoder = await loadEncoder(source, { weights: 'i8', signal, onProgress });
  kept = { source, encoder };
  return encoder;
}

async function compare(signal) {
  const texts = page.texts.value
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line);
  if (texts.length < 2) return say('Two sentences are needed at least.');
  if (texts.length > MOST) return say(`${texts.length} sentences are more than the ${MOST} that fit in a table.`);
  const encoder = await load(signal);
  say('Comparing.');
  show(0, '');
  const began = performance.now();
  const vectors = await embed(encoder, texts, signal);
  const table = await encoder.similarity(vectors);
  const ms = (performance.now() - began).toFixed(0);
  draw(texts, table);
  const [a, b] = mostAlike(table);
  say(`${texts.length} sentences in ${ms} ms. Most alike: ${a + 1} and ${b + 1}, ${table[a][b].toFixed(2)}.`);
}

/** Sentence by sentence, so that the bar moves and a stop is heard soon; all at once would be a little faster. */
async function embed(encoder, texts, signal) {
  const vectors = [];
  for (const text of texts) {
    vectors.push(await encoder.embed(text, { signal }));
    show(vectors.length / texts.length, `${vectors.length} of ${texts.length} sentences`);
  }
  return vectors;
}

/** The pair of different sentences with the largest number. */
function mostAlike(table) {
  let best = [0, 1];
  for (let a = 0; a < table.length; a++) {
    for (let b = 0; b < a; b++) if (table[a][b] > table[best[0]][best[1]]) best = [b, a];
  }
  return best;
}

/** An element with text or children. */
function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** The column of the largest number of a row, but for the row's own. */
const nearest = (row, self) => row.reduce((best, x, n) => (n !== self && (best < 0 || x > row[best]) ? n : best), -1);

/** From 0 for the least of the numbers of different sentences to 1 for the largest: what colours tell. */
function shareOf(table) {
  const others = table.flatMap((row, n) => row.filter((_, other) => other !== n));
  const [least, most] = [Math.min(...others), Math.max(...others)];
  return (x) => (most > least ? Math.max(0, (x - least) / (most - least)) : 0);
}

function draw(texts, table) {
  const share = shareOf(table);
  const numbers = texts.map((text, n) =>
    element('th', { scope: 'col' }, `${n + 1}`, element('span', { className: 'unseen' }, `: ${text}`)),
  );
  const rows = texts.map((text, n) => {
    const head = element('th', { scope: 'row' }, text);
    head.dataset.number = `${n + 1}`;
    const most = nearest(table[n], n);
    const cells = table[n].map((x, other) => {
      const cell = element('td', { className: other === n ? 'self' : other === most ? 'most' : '' }, x.toFixed(2));
      cell.style.setProperty('--share', share(x).toFixed(3));
      if (other === most) cell.append(element('span', { className: 'unseen' }, ', the nearest'));
      return cell;
    });
    return element('tr', {}, head, ...cells);
  });
  const caption = element(
    'caption',
    { className: 'quiet' },
    'Cosines: 1 for the same, 0 for nothing in common. The bluer, the nearer; the nearest of each row has a frame.',
  );
  const corner = element('td', { className: 'self' });
  page.result.replaceChildren(
    element('table', {}, caption, element('thead', {}, element('tr', {}, corner, ...numbers)), element('tbody', {}, ...rows)),
  );
  page.result.hidden = false;
}

/** While it works, Stop can be pressed and Compare cannot; the focus goes along. */
function setBusy(busy) {
  const [from, to] = busy ? [page.compare, page.stop] : [page.stop, page.compare];
  const focused = document.activeElement === from;
  to.disabled = false;
  if (focused) to.focus();
  from.disabled = true;
  page.progress.hidden = !busy;
}

page.form.onsubmit = async (event) => {
  event.preventDefault();
  if (controller) return;
  controller = new AbortController();
  setBusy(true);
  try {
    await compare(controller.signal);
  } catch (error) {
    say(controller.signal.aborted ? 'Stopped.' : `It failed: ${error.message}`);
  }
  controller = undefined;
  setBusy(false);
};
page.stop.onclick = () => controller?.abort();
addEventListener('keydown', ({ key }) => {
  if (key === 'Escape') controller?.abort();
});
page.texts.onkeydown = (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) page.form.requestSubmit();
};

page.progress.hidden = true;
page.host.textContent = crossOriginIsolated
  ? `This page is isolated: it computes on ${navigator.hardwareConcurrency} threads at most.`
  : 'This page is not isolated, so it computes on one thread. Served with the headers Cross-Origin-Opener-Policy and Cross-Origin-Embedder-Policy it would take more.';
page.model.textContent = page.address.value;
page.compare.disabled = false;
