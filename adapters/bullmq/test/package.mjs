// relpos-bullmq as npm hands it out: packed, installed beside the library, asked for help and for a small corpus.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const own = fileURLToPath(new URL('..', import.meta.url));
const model = fileURLToPath(new URL('../../../test/models/checkpoints/bert', import.meta.url));
const PATIENCE_MS = 60_000;

const check = (name, error) => ({ name: `relpos-bullmq: ${name}`, ...(error && { error }) });

function install(folder, library) {
  const words = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder];
  const [{ filename, files }] = JSON.parse(execFileSync('npm', words, { cwd: own, encoding: 'utf8' }));
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'user', private: true, type: 'module' }));
  execFileSync('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', library, filename], { cwd: folder });
  return files.map(({ path }) => path);
}

/** How a command answers, with which it ends by itself. */
function answerCheck(folder, words, { status, out = /^$/, err = /^$/ }) {
  const found = spawnSync('npx', ['--offline', ...words], { cwd: folder, encoding: 'utf8', timeout: PATIENCE_MS });
  const fits = found.status === status && out.test(found.stdout) && err.test(found.stderr);
  return check(
    `"${words.join(' ')}" gives exit code ${status}`,
    fits ? undefined : JSON.stringify([found.status, found.stdout, found.stderr]),
  );
}

/** All checks, `{ name, error? }`; `library` is the library's tarball. */
export function packageChecks(library) {
  const folder = mkdtempSync(join(tmpdir(), 'relpos-bullmq-'));
  try {
    const files = install(folder, library);
    const odd = files.filter((path) => !/^(package\.json|README\.md|LICENSE|compose\.yaml|dist\/.+\.(js|d\.ts))$/.test(path));
    writeFileSync(join(folder, 'corpus.txt'), 'one\ntwo\n');
    const embed = ['relpos-bulk', 'embed', 'corpus.txt', '--model', model, '--out', 'vectors', '--local'];
    const checks = [
      check('its tarball has what it needs, and no more', odd.join('\n')),
      answerCheck(folder, ['relpos-bulk', '--help'], { status: 0, out: /^relpos-bulk: .*\n\n {2}relpos-bulk embed/ }),
      ...['embed', 'work', 'status', 'digest'].map((name) =>
        answerCheck(folder, ['relpos-bulk', name, '--help'], { status: 0, out: new RegExp(`^relpos-bulk ${name} `) }),
      ),
      answerCheck(folder, ['relpos-shards', '--help'], { status: 0, out: /relpos-shards hold/ }),
      answerCheck(folder, ['relpos-bulk', 'embd'], { status: 2, err: /there is no command "embd"/ }),
      answerCheck(folder, ['relpos-bulk', 'embed'], { status: 2, err: /expected one corpus, got nothing/ }),
      answerCheck(folder, ['relpos-bulk', 'work'], { status: 2, err: /--model is missing/ }),
      answerCheck(folder, ['relpos-bulk', 'work', '--model', model, '--threads', 'x'], {
        status: 2,
        err: /--threads expected a whole number/,
      }),
      answerCheck(folder, ['relpos-bulk', 'status', '--redis', 'redis://127.0.0.1:1'], {
        status: 1,
        err: /cannot be reached: .*ECONNREFUSED/,
      }),
      answerCheck(folder, embed, { status: 0, err: /2 texts of width \d+ in 1 shards: vectors\/index.json/ }),
    ];
    const { rows } = JSON.parse(readFileSync(join(folder, 'vectors/index.json'), 'utf8'));
    return [...checks, check('it embeds a corpus', rows === 2 ? undefined : `it has ${rows} rows`)];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
