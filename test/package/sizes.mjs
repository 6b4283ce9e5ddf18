// The budgets: what a page may weigh that imports this or that of the packed library. An import that outgrows its own either should not, or
// says so by a new number in budgets.json.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleSize } from '../../scripts/bundle-size.mjs';

const budgets = JSON.parse(readFileSync(new URL('budgets.json', import.meta.url), 'utf8'));

/**
 * A folder in which the packed library is installed, without its word that it has no side effects: what is not used must go statement by
 * statement, since the files of the package are not its modules.
 */
function project(tarball) {
  const folder = mkdtempSync(join(tmpdir(), 'relpos-sizes-'));
  const installed = join(folder, 'node_modules/relpos');
  mkdirSync(installed, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  execFileSync('tar', ['-xzf', tarball, '-C', installed, '--strip-components=1']);
  const manifest = join(installed, 'package.json');
  writeFileSync(manifest, JSON.stringify({ ...JSON.parse(readFileSync(manifest, 'utf8')), sideEffects: true }));
  return folder;
}

/** One check for each budget. */
export async function sizeChecks(tarball) {
  const folder = project(tarball);
  try {
    const checks = [];
    for (const [name, { code, loads, ...most }] of Object.entries(budgets)) {
      const found = await bundleSize(folder, code, loads);
      const over = Object.entries(most).filter(([unit, bytes]) => found[unit] > bytes);
      console.log(`sizes: ${name}: ${found.bytes} bytes, ${found.gzip} gzip, ${found.brotli} brotli`);
      const error = over.map(([unit, bytes]) => `${found[unit]} (${unit}), and the budget is ${bytes}`).join('; ');
      checks.push({ name: `size of ${name}`, ...(error && { error }) });
    }
    return checks;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
