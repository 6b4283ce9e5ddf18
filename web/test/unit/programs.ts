// Programs that panels give out, compiled strictly and run by Node with the built package.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';

const library = fileURLToPath(new URL('../../../', import.meta.url));

/** What each of the programs prints, line by line. */
export function runPrograms(texts: readonly string[]): unknown[][] {
  const folder = mkdtempSync(join(tmpdir(), 'lab-programs-'));
  try {
    mkdirSync(join(folder, 'node_modules'));
    symlinkSync(library, join(folder, 'node_modules', 'relpos'), 'dir');
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    texts.forEach((text, n) => {
      writeFileSync(join(folder, `program${n}.ts`), text);
    });
    compile(folder);
    // One process runs them all; a line of its own stands between the lines of two.
    writeFileSync(join(folder, 'all.js'), texts.map((_, n) => `await import('./program${n}.js');\nconsole.log('null');`).join('\n'));
    const lines = execFileSync(process.execPath, ['all.js'], { cwd: folder, encoding: 'utf8', maxBuffer: 2 ** 26 });
    return lines
      .split(/^null$/m)
      .slice(0, -1)
      .map((part) =>
        part
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line)),
      );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function compile(folder: string): void {
  const compilerOptions = {
    target: 'ES2022',
    module: 'NodeNext',
    lib: ['ES2023', 'ESNext.Disposable', 'DOM'],
    types: [],
    strict: true,
    skipLibCheck: true,
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
  const { stdout } = spawnSync(join(library, 'node_modules/.bin/tsc'), ['-p', folder], { encoding: 'utf8' });
  expect(stdout).toBe('');
}
