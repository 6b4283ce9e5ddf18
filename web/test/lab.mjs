// What a driven test has in its hands: the page of a browser, and the checks that it makes.
import { setTimeout as sleep } from 'node:timers/promises';
import { within } from '../../test/browsers/processes.mjs';
import { serveSite } from './server.mjs';

const READY_MS = 30_000;
/** No single answer of the page takes longer; work of models in it is awaited by `until`. */
const ANSWER_MS = 120_000;
/** The longest time without a frame, as people feel it, and how often it is measured: on a machine with other work only the best says what the page does. */
export const SMOOTH_MS = 60;
const TRIES = 8;
const REST_MS = 1000;
const POLL_MS = 25;

const literal = JSON.stringify;

/** The value of an expression, as JSON brings it. */
const asJson = (expression) =>
  `(async () => { const value = await (${expression}); return JSON.stringify(value === undefined ? null : value); })()`;

export class Lab {
  #launched;
  #server;
  #page;
  #opened = 0;
  #panel;
  #errors = [];
  #foreign = [];
  #missing = [];
  checks = [];

  /** @param browser its name. @param launched what `launch()` gave. @param panel whose test this is. */
  constructor(browser, launched, panel) {
    this.browser = browser;
    this.#launched = launched;
    this.#panel = panel;
  }

  /** Serves the page otherwise than before, as `serveSite` takes it: without isolation, below a path. */
  async serve(options) {
    await this.close();
    this.#endServer();
    this.#server = await serveSite(options);
  }

  /** The files that were asked for since `serve`. */
  asked() {
    return [...this.#server.asked];
  }

  #endServer() {
    if (!this.#server) return;
    this.#missing.push(...this.#server.missing);
    this.#server.close();
    this.#server = undefined;
  }

  /** The address of the page without its hash. */
  get address() {
    return this.#server.address;
  }

  /** Opens the page anew at a hash, `#/panel?…`, and waits until its panel is there. */
  async open(hash = '') {
    await this.close();
    if (!this.#server) await this.serve();
    // Another query: the same address with another hash would not load the page.
    this.#page = await within(ANSWER_MS, `opening ${hash}`, this.#launched.open(`${this.#server.address}?n=${++this.#opened}${hash}`));
    await this.until('lab.ready()', `the page at ${hash || 'no hash'} is there`, READY_MS);
  }

  /** The value of an expression in the page, or of its promise. */
  async eval(expression) {
    if (!this.#page) throw new Error('no page is open: lab.open("#/panel") comes first');
    const json = await within(ANSWER_MS, `the answer to ${expression.slice(0, 200)}`, this.#page.evaluate(asJson(expression)));
    return JSON.parse(json);
  }

  /** Waits until an expression in the page is true; `what` says what that means. */
  async until(expression, what, ms = 20_000) {
    for (const end = Date.now() + ms; ; await sleep(POLL_MS)) {
      // Asked from here each time: the page may load anew under it, with an answer that never comes.
      const found = await this.eval(`globalThis.lab ? (${expression}) : false`).catch((error) => {
        if (Date.now() > end) throw error;
        return false;
      });
      if (found) return;
      if (Date.now() > end) break;
    }
    const seen = await this.eval(
      '({ hash: location.hash, errors: globalThis.lab?.errors, alerts: globalThis.lab?.text("[role=alert]"), main: globalThis.lab?.text("main").slice(0, 600) })',
    );
    throw new Error(`${what}: not within ${ms / 1000} s; the page: ${literal(seen)}`);
  }

  /** Records a check. */
  check(name, truth, detail) {
    const full = `${this.browser}, ${this.#panel}: ${name}`;
    const said = detail === undefined ? 'it is not so' : typeof detail === 'string' ? detail : literal(detail);
    this.checks.push(truth ? { name: full } : { name: full, error: said });
  }

  /**
   * The longest time without a frame, in ms, from an expression that starts work until one that is true when it is done; the best of some tries.
   * What says that it is done must be false while it works: later tries wait for that first.
   */
  async gaps(start, done, ms = 30_000) {
    let best = Number.POSITIVE_INFINITY;
    for (let left = TRIES; left > 0; left--) {
      const found = await this.eval(`lab.gaps(() => (${start}), () => (${done}), ${ms})`);
      if (found < 0) throw new Error(`${done}: not within ${ms / 1000} s of ${start}`);
      best = Math.min(best, found);
      if (best <= SMOOTH_MS) break;
      await sleep(REST_MS);
    }
    return best;
  }

  /** Checks the accessibility of the page as it is, light and dark. */
  async axe(state = 'the page') {
    for (const scheme of ['light', 'dark']) {
      const { lines, rules } = await this.eval(`lab.accessibility(${literal(scheme)})`);
      this.check(
        `axe finds nothing wrong with ${state}, ${scheme}`,
        lines.length === 0 && rules > 10,
        `${rules} rules passed\n${lines.join('\n')}`,
      );
    }
  }

  /** Drops files, `{ name, text }` or `{ name, base64 }`, on the element of a selector. */
  drop(selector, files) {
    return this.eval(`lab.drop(${literal(selector)}, ${literal(files)})`);
  }

  /** Presses a key, by its name in `KeyboardEvent.key`, on what has the focus. */
  press(key, options) {
    return this.#page.press(key, options);
  }

  /** Closes the page; what went wrong in it is kept for `finish`. */
  async close() {
    const page = this.#page;
    if (!page) return;
    const { errors, foreign } = await this.eval('({ errors: lab.errors, foreign: lab.foreign() })');
    this.#errors.push(...errors);
    this.#foreign.push(...foreign);
    this.#page = undefined;
    await page.close();
  }

  /** Closes all and checks what must hold of every page that was open. */
  async finish() {
    await this.close();
    this.#endServer();
    for (const [name, lines] of [
      ['no error in the console', this.#errors],
      ['nothing is asked of another host', this.#foreign],
      ['no file is asked for that is not there', this.#missing],
    ])
      this.check(name, lines.length === 0, lines.join('\n'));
  }
}
