// The page driven in every browser: each file of driven/ is the test of a panel, `export const name` and `export async function drive(lab)`.
import { existsSync, readdirSync } from 'node:fs';
import process from 'node:process';
import { browsers } from '../../test/browsers/index.mjs';
import { installed } from '../../test/conformance/install.mjs';
import { Lab } from './lab.mjs';

const folder = new URL('driven/', import.meta.url);

/** The tests there are: `{ name, drive }`. */
export const tests = await Promise.all(
  readdirSync(folder)
    .filter((file) => file.endsWith('.mjs'))
    .sort()
    .map((file) => import(new URL(file, folder).href)),
);

async function driveOne(browser, launched, { name, drive }) {
  const began = performance.now();
  const lab = new Lab(browser, launched, name);
  try {
    await drive(lab);
    await lab.finish();
  } catch (error) {
    lab.check('driven to its end', false, error.stack);
    await lab.finish().catch(() => {});
  }
  const failed = lab.checks.filter(({ error }) => error).length;
  console.log(
    `lab: ${browser}, ${name}: ${lab.checks.length} checks, ${failed} failed, ${((performance.now() - began) / 1000).toFixed(1)} s`,
  );
  return lab.checks;
}

/**
 * Drives panels in browsers, one after another.
 *
 * @param asked names of browsers; none means all. One that is not installed is named and left out, but fails where everything must be (CI=true).
 * @param only  the panel whose test alone is run.
 * @returns checks, `{ name, error? }`.
 */
export async function driven(asked = [], only) {
  const checks = [];
  const chosen = tests.filter(({ name }) => !only || name === only);
  for (const { name, missing, launch } of browsers) {
    if (asked.length && !asked.includes(name)) continue;
    const packages = missing();
    const module = ['puppeteer-core', 'selenium-webdriver'].find((one) => !existsSync(installed(one)));
    if (packages.length || module) {
      const error = packages.length
        ? `Debian's ${packages.join(' and ')} is not installed`
        : `${module} is not: node test/run.mjs runtimes`;
      if (process.env.CI === 'true') checks.push({ name: `${name}: the page driven`, error });
      else console.log(`lab: ${name} is left out: ${error}`);
      continue;
    }
    try {
      const launched = await launch();
      try {
        for (const test of chosen) checks.push(...(await driveOne(name, launched, test)));
      } finally {
        await launched.close();
      }
    } catch (error) {
      checks.push({ name: `${name}: the page driven`, error: String(error.stack ?? error) });
    }
  }
  return checks;
}
