// Injected into the page as its first script: notes what goes wrong, and finds what people find by its name. Everything is under `lab`.
(() => {
  const errors = [];
  const words = (value) => {
    if (!(value instanceof Error)) return String(value);
    const stack = value.stack ?? '';
    return stack.includes(value.message)
      ? stack
      : `${value}
${stack}`;
  };
  const { error } = console;
  console.error = (...values) => {
    errors.push(`console: ${values.map(words).join(' ')}`);
    error.apply(console, values);
  };
  addEventListener(
    'error',
    ({ target, message, filename, lineno }) => {
      const address = target?.src ?? target?.href;
      errors.push(address ? `not loaded: ${address}` : `uncaught: ${message} (${filename}:${lineno})`);
    },
    true,
  );
  addEventListener('unhandledrejection', ({ reason }) => errors.push(`unhandled: ${words(reason)}`));
  addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) =>
    errors.push(`policy: ${violatedDirective} ${blockedURI}`),
  );
  // What a worker does not catch is told to its owner alone.
  globalThis.Worker = class extends Worker {
    constructor(...values) {
      super(...values);
      this.addEventListener('error', ({ message, filename }) => errors.push(`worker: ${message} (${filename})`));
      this.addEventListener('messageerror', () => errors.push('worker: a message could not be read'));
    }
  };

  const plain = (text) => (text ?? '').replace(/\s+/g, ' ').trim();
  const ofIds = (ids) =>
    plain(
      ids
        .split(/\s+/)
        .map((id) => document.getElementById(id)?.textContent ?? '')
        .join(' '),
    );
  const labelsOf = (element) => plain([...(element.labels ?? [])].map((label) => label.textContent).join(' '));
  /** The name of an element as those hear it who do not see the page. */
  const nameOf = (element) => {
    const given = element.getAttribute('aria-labelledby');
    const own = element.matches('button, a, summary, [role="button"], [role="tab"], [role="radio"]') ? plain(element.textContent) : '';
    return (given ? ofIds(given) : plain(element.getAttribute('aria-label')) || labelsOf(element) || own) || plain(element.title);
  };
  const shown = (element) => element.checkVisibility?.() ?? element.getClientRects().length > 0;

  /** The one element of those with this name: the whole of it, or its beginning; a pattern fits anywhere. Those that are seen come first. */
  function named(kind, selector, name) {
    const all = [...document.querySelectorAll(selector)].filter((element) => !element.closest('[hidden]'));
    const candidates = [...all.filter(shown), ...all.filter((element) => !shown(element))];
    const found =
      name instanceof RegExp
        ? candidates.find((element) => name.test(nameOf(element)))
        : (candidates.find((element) => nameOf(element) === name) ?? candidates.find((element) => nameOf(element).startsWith(name)));
    if (!found)
      throw new Error(`no ${kind} has the name "${name}"; there are ${candidates.map((element) => `"${nameOf(element)}"`).join(', ')}`);
    return found;
  }

  const button = (name) => named('button', 'button, a, summary, [role="button"], [role="tab"]', name);
  const field = (name) => named('field', 'input, select, textarea, [role="radio"], [role="application"], [role="slider"]', name);
  const tell = (element, ...kinds) => {
    for (const kind of kinds) element.dispatchEvent(new Event(kind, { bubbles: true }));
  };

  /** Sets a slider, choice, toggle or text, as people do. A choice takes a value or its words; a logarithmic slider its notch, 0 to 1000. */
  function set(name, value) {
    const element = field(name);
    if (element.disabled) throw new Error(`"${name}" is disabled`);
    if (element.type === 'checkbox' || element.type === 'radio') {
      if (element.checked !== value) element.click();
      return;
    }
    if (element instanceof HTMLSelectElement) {
      const option = [...element.options].find((one) => one.value === String(value) || plain(one.textContent) === String(value));
      if (!option)
        throw new Error(`"${name}" has no choice "${value}"; there are ${[...element.options].map((one) => one.value).join(', ')}`);
      element.value = option.value;
    } else element.value = String(value);
    tell(element, 'input', 'change');
  }

  function press(name) {
    const element = button(name);
    if (element.disabled) throw new Error(`"${name}" is disabled`);
    element.click();
  }

  /** The text of all elements that fit, or of the page. */
  const text = (css = 'body') => plain([...document.querySelectorAll(css)].map((element) => element.textContent).join(' '));

  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));

  /** Waits until `done` gives something true; false if it does not in time. */
  async function until(done, ms) {
    for (const end = performance.now() + ms; ; await pause(20)) {
      if (await done()) return true;
      if (performance.now() > end) return false;
    }
  }

  /**
   * The longest time without a frame from `start` until `done`; −1 if that does not come in time. What is already done before the start, as by an
   * earlier try, must first become undone.
   */
  async function gaps(start, done, ms) {
    await frame();
    const began = await frame();
    let [last, longest, stale] = [began, 0, Boolean(done())];
    start();
    for (;;) {
      await frame();
      const now = performance.now();
      longest = Math.max(longest, now - last);
      last = now;
      const isDone = Boolean(done());
      if (isDone && !stale) return longest;
      stale &&= isDone;
      if (now - began > ms) return -1;
    }
  }

  const bytesOf = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));

  /** Drops files on an element, or gives them to a field for files. A name with folders becomes the path of the file. */
  function drop(selector, files) {
    const element = document.querySelector(selector);
    if (!element) throw new Error(`nothing fits ${selector}`);
    const transfer = new DataTransfer();
    for (const { name, text: content, base64 } of files) {
      const file = new File([base64 === undefined ? content : bytesOf(base64)], name.split('/').at(-1));
      if (name.includes('/')) Object.defineProperty(file, 'webkitRelativePath', { value: name });
      transfer.items.add(file);
    }
    if (element.type === 'file') {
      element.files = transfer.files;
      return tell(element, 'input', 'change');
    }
    for (const kind of ['dragenter', 'dragover', 'drop']) {
      const event = new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: transfer });
      if (!event.dataTransfer) Object.defineProperty(event, 'dataTransfer', { value: transfer });
      element.dispatchEvent(event);
    }
  }

  /** What axe finds wrong in the page as it is, a line each. */
  async function accessibility(scheme) {
    if (!globalThis.axe) {
      const script = document.createElement('script');
      script.src = new URL('__lab/axe.js', document.baseURI).href;
      const loaded = new Promise((resolve, reject) => Object.assign(script, { onload: resolve, onerror: reject }));
      document.head.append(script);
      await loaded;
    }
    const { style } = document.documentElement;
    // light-dark() follows the scheme of the root, whatever the system prefers. Colours change by transitions.
    style.colorScheme = scheme;
    await pause(200);
    try {
      const { violations, passes } = await globalThis.axe.run(document, { resultTypes: ['violations'] });
      const lines = violations.flatMap(({ id, help, nodes }) =>
        nodes.map(({ target, failureSummary }) => `${id}: ${help}: ${target.join(' ')}: ${plain(failureSummary)}`),
      );
      return { lines, rules: passes.length };
    } finally {
      style.colorScheme = '';
    }
  }

  /** Requests that left the page's own host. */
  const foreign = () =>
    performance
      .getEntriesByType('resource')
      .map(({ name }) => name)
      .filter((name) => !name.startsWith(`${location.origin}/`) && !/^(blob|data):/.test(name));

  /** Whether the panel of the address is there, not only on its way. */
  const ready = () =>
    document.querySelector('main') !== null &&
    ![...document.querySelectorAll('main [role="status"]')].some((element) => element.textContent === 'Loading …');

  globalThis.lab = { errors, nameOf, button, field, set, press, text, pause, frame, until, gaps, drop, accessibility, foreign, ready };
})();
