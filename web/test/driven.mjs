// The page driven in every browser: each file of driven/ is the test of a panel, `export const name` and `export async function drive(lab)`.
import { readdirSync } from 'node:fs';
import process from 'node:process';
import { browsers } from '../../test/browsers/index.mjs';
import { Lab } from './lab.mjs';
import { serveSite } from './server.mjs';

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
  const server = await serveSite();
  const lab = new Lab(browser, launched, server, name);
  try {
    await drive(lab);
    await lab.finish();
  } catch (error) {
    lab.check('driven to its end', false, error.stack);
    await lab.close().catch(() => {});
  } finally {
    server.close();
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
    if (packages.length) {
      const error = `Debian's ${packages.join(' and ')} is not installed`;
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
