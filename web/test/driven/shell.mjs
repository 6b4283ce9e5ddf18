// What is around the panels: links, titles, keys, widths, motion, and hosts that send no headers.
import { BUDGET, filesOfSite, sizeOf } from '../sizes.mjs';

export const name = 'shell';

const PANELS = ['schemes', 'cell', 'length', 'models', 'speed'];
const WIDTHS = [1280, 768, 360];

const focused = 'lab.nameOf(document.activeElement) || document.activeElement.id || document.activeElement.tagName';

async function links(lab) {
  await lab.open('');
  const titles = await lab.eval('[...document.querySelectorAll("nav a")].map((link) => link.textContent)');
  lab.check('there are five panels', titles.length === 5, titles);
  for (const title of titles.slice(1).concat(titles[0])) {
    await lab.eval(`lab.press(${JSON.stringify(title)})`);
    await lab.until(
      `lab.text('nav [aria-current=page]') === ${JSON.stringify(title)} && lab.ready()`,
      `the panel ${title} opens by its link`,
    );
    const { tab, heading, alerts } = await lab.eval(`({ tab: document.title, heading: lab.text('h2'), alerts: lab.text('[role=alert]') })`);
    lab.check(`${title} has its title and its question`, tab === `${title} · Position Lab` && heading.endsWith('?'), `${tab}: ${heading}`);
    lab.check(`${title} opens without a fault`, alerts === '', alerts);
  }
  await lab.eval('(history.back(), 1)');
  await lab.until(`lab.text('nav [aria-current=page]') === ${JSON.stringify(titles.at(-1))}`, 'the browser goes back to the panel before');
  await lab.open('#/nowhere?a=1');
  const alert = await lab.eval('lab.text("[role=alert]")');
  lab.check('a panel that is not there is named', alert.includes('“nowhere”'), alert);
  await lab.axe('an address that is none');
}

async function keys(lab) {
  await lab.open('#/schemes');
  const order = [];
  for (let n = 0; n < 6; n++) {
    await lab.press('Tab');
    order.push(await lab.eval(focused));
  }
  const wanted = ['To the panel', ...(await lab.eval('[...document.querySelectorAll("nav a")].map((link) => link.textContent)'))];
  lab.check('the tab key goes to the skip link, then through the panels', order.join() === wanted.join(), order);
  for (let n = 0; n < 5; n++) await lab.press('Tab', { shift: true });
  const seen = await lab.eval(
    '(() => { const { left, top, width } = document.activeElement.getBoundingClientRect(); return left >= 0 && top >= 0 && width > 20; })()',
  );
  lab.check('the skip link is seen when it has the focus', seen && (await lab.eval(focused)) === wanted[0]);
  await lab.press('Enter');
  lab.check('it leads to the panel', (await lab.eval('document.activeElement.id')) === 'main', await lab.eval(focused));
  await lab.press('Tab');
  lab.check(
    'the next stop is in the panel',
    await lab.eval('document.activeElement.closest("main section") !== null'),
    await lab.eval(focused),
  );
}

/** Addresses that change while something is about to be written into them, and that are as long as somebody likes. */
async function addresses(lab) {
  await lab.open('#/schemes?a=t5');
  await lab.eval(`(lab.set('fall of the table', 0.5), location.hash = '#/schemes?a=kerple', lab.pause(500))`);
  const { hash, scheme } = await lab.eval(`({ hash: location.hash, scheme: lab.field('Scheme').value })`);
  lab.check('an address that somebody writes while a slider moves stays', hash === '#/schemes?a=kerple' && scheme === 'kerple', {
    hash,
    scheme,
  });
  const long = await lab.eval(
    `(location.hash = '#/' + 'y'.repeat(10000), lab.pause(300).then(() => ({ text: lab.text('main [role=alert]').length, over: document.documentElement.scrollWidth - innerWidth })))`,
  );
  lab.check('a panel of 10,000 letters is named by its first ones', long.text > 50 && long.text < 200 && long.over <= 0, long);
}

/** A file dropped beside the place for it. */
async function strayDrops(lab) {
  await lab.open('#/models?part=files');
  await lab.until(`document.querySelector('.drop input[type=file]')`, 'there is a place to drop files');
  const kept = await lab.eval(`['dragover', 'drop'].map((kind) => {
    const files = new DataTransfer();
    files.items.add(new File(['{}'], 'config.json'));
    const event = new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: files });
    if (!event.dataTransfer) Object.defineProperty(event, 'dataTransfer', { value: files });
    document.querySelector('h2').dispatchEvent(event);
    return event.defaultPrevented;
  })`);
  lab.check('a file dropped beside the place for it does not open in place of the page', kept.every(Boolean), kept);
}

/** Frames of the page, since a window has one width: how far each is wider than it should be. */
const widthsOf = (panel) => `Promise.all(${JSON.stringify(WIDTHS)}.map(async (width) => {
  const frame = document.createElement('iframe');
  frame.style.cssText = 'position: absolute; border: 0; height: 900px; width: ' + width + 'px';
  frame.src = location.pathname + '?frame=' + width + '#/' + ${JSON.stringify(panel)};
  document.body.append(frame);
  const there = await lab.until(() => frame.contentWindow?.lab?.ready() && frame.contentDocument.querySelector('section.panel'), 20000);
  await lab.pause(700);
  const { scrollWidth } = frame.contentDocument.documentElement;
  const wide = [...frame.contentDocument.querySelectorAll('main *')].filter(
    (element) => !element.closest('.scrolls *, .unseen') && element.getBoundingClientRect().right > width + 1,
  );
  frame.remove();
  return { width, there, scrollWidth, wide: wide.slice(-3).map((element) => element.outerHTML.slice(0, 120)) };
}))`;

async function widths(lab, panel) {
  for (const { width, there, scrollWidth, wide } of await lab.eval(widthsOf(panel)))
    lab.check(`${panel} fits ${width} pixels`, there && scrollWidth <= width, `there: ${there}; ${scrollWidth} wide\n${wide.join('\n')}`);
}

/** What the panel asks for until it rests. */
async function weight(lab, panel) {
  for (let before = -1; before !== lab.asked().length; await lab.eval('lab.pause(700)')) before = lab.asked().length;
  const bytes = sizeOf(lab.asked());
  console.log(`lab: ${panel} loads ${bytes} bytes with brotli before models`);
  lab.check(`${panel} loads less than ${BUDGET} bytes before models`, bytes > 10_000 && bytes < BUDGET, `${bytes}: ${lab.asked()}`);
}

/** Rules that move something although people may have asked for stillness. */
const moving = `(() => {
  const found = [];
  const walk = (rules, still) => {
    for (const rule of rules) {
      const asks = rule.conditionText?.includes('prefers-reduced-motion');
      if (rule.style && !still && /(^|;)\\s*(transition|animation|scroll-behavior)/.test(rule.style.cssText)) found.push(rule.cssText);
      if (rule.cssRules) walk(rule.cssRules, still || asks);
    }
  };
  for (const sheet of document.styleSheets) walk(sheet.cssRules, false);
  return { found, sheets: document.styleSheets.length };
})()`;

async function motion(lab, panel) {
  const { found, sheets } = await lab.eval(moving);
  lab.check(`nothing moves in ${panel} for people who asked for stillness`, sheets > 0 && found.length === 0, found.join('\n'));
}

/** A plain server of files, below a path: the service worker adds the headers. */
async function plainHost(lab) {
  await lab.serve({ isolated: false, under: '/some/folder/' });
  await lab.open('#/schemes?encoding=alibi');
  await lab.until('crossOriginIsolated', 'a host without headers is isolated by the service worker');
  await lab.until('lab.ready() && document.querySelector("main canvas") !== null', 'the first panel draws there');
  lab.check(
    'the address is kept through the isolation',
    (await lab.eval('location.hash')).startsWith('#/schemes?encoding=alibi'),
    await lab.eval('location.hash'),
  );
  await lab.serve({ isolated: false, without: 'isolation.js' });
  await lab.open('#/schemes');
  await lab.until('lab.ready() && document.querySelector("main canvas") !== null', 'the first panel draws without isolation');
  lab.check('a host without the service worker is no fault', !(await lab.eval('crossOriginIsolated')));
}

/** A part that a host does not have. */
async function failing(lab) {
  await lab.serve({ without: filesOfSite().find((path) => /^assets\/length-.*\.js$/.test(path)) });
  await lab.open('#/length');
  const alert = await lab.eval('lab.text("[role=alert]")');
  lab.check('a panel that cannot be loaded says so', /^This panel failed: \S/.test(alert), alert);
  await lab.axe('a panel that failed');
  const errors = await lab.eval('lab.errors.splice(0)');
  lab.check('no more than that is wrong', errors.length <= 1 && errors.every((error) => /^not loaded: .*length-/.test(error)), errors);
  await lab.eval('lab.press("Schemes")');
  await lab.until('lab.ready() && document.querySelector("main canvas") !== null', 'the other panels open');
  await lab.serve({ without: 'models/positions/losses.json', instead: true });
  await lab.open('#/length');
  await lab.until(
    `lab.text('main [role=alert]') === 'models/positions/losses.json is not on this host, which answers a page in its place.'`,
    'a host that answers a page in place of a file is named',
  );
}

export async function drive(lab) {
  await links(lab);
  await keys(lab);
  await addresses(lab);
  await strayDrops(lab);
  await plainHost(lab);
  await failing(lab);
  if (lab.browser !== 'chromium') return;
  for (const panel of PANELS) {
    await lab.serve(); // A host of its own: no file is there already.
    await lab.open(`#/${panel}`);
    await weight(lab, panel);
    await motion(lab, panel);
    await widths(lab, panel);
  }
}
