// How long until the page shows its first picture, and when nothing of it is there yet: node web/test/bench.mjs [browser ...]. A measurement, no test.
import { browsers } from '../../test/browsers/index.mjs';
import { commandLine } from '../../test/words.mjs';
import { serveSite } from './server.mjs';

const RUNS = 7;
const names = browsers.map(({ name }) => name);
const { positionals } = commandLine({
  usage: `node web/test/bench.mjs [browser ...]

Milliseconds from the start of the navigation until the first panel has drawn its first picture, in the page as it was built in web/dist, from this
machine: each of ${RUNS} visits is to an origin of its own, so that no file is there already. The engine is made and the picture computed in that time.

  browser ...   in these: ${names.join(', ')}; else in all
  --help        this`,
  kind: 'browsers',
  names,
});

/** Resolves to the time at which a canvas of the panel has a pixel that is drawn. */
const FIRST_PICTURE = `new Promise((resolve) => {
  const drawn = (canvas) => {
    if (!canvas.width || !canvas.height) return false;
    return canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some((byte) => byte > 0);
  };
  const look = () => {
    if ([...document.querySelectorAll('main canvas')].some(drawn)) resolve(performance.now());
    else requestAnimationFrame(look);
  };
  look();
})`;

const rounded = (times) => times.map((ms) => Math.round(ms)).join(', ');

for (const { name, missing, launch } of browsers) {
  if (positionals.length && !positionals.includes(name)) continue;
  if (missing().length) {
    console.log(`${name}: not installed`);
    continue;
  }
  const browser = await launch();
  const times = [];
  try {
    for (let n = 0; n < RUNS; n++) {
      const server = await serveSite();
      const page = await browser.open(server.address);
      times.push(await page.evaluate(FIRST_PICTURE));
      await page.close();
      server.close();
    }
  } finally {
    await browser.close();
  }
  times.sort((a, b) => a - b);
  console.log(
    `${name} ${browser.version}: first picture ${Math.round(times[0])} ms at best, ${Math.round(times[RUNS >> 1])} in the middle (${rounded(times)})`,
  );
}
