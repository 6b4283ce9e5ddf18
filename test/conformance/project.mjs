// A fresh project with the packed library installed, as a user has it.
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** Where the golden files are. */
export const goldenFolder = fileURLToPath(new URL('../golden/', import.meta.url));
/** The checkpoints of models.ts. */
export const MODELS = [
  ...['bert', 'deberta-v2-conv', 'deberta-v3', 'llama', 'longt5-global', 'swin'].map((name) => `test/models/checkpoints/${name}`),
  ...['story-llama', 'fix-t5'].map((name) => `examples/models/${name}`),
];
/** Of their files, those that a checkpoint is made of. */
const FILES = [
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'preprocessor_config.json',
  'model.safetensors',
];
const here = (name) => fileURLToPath(new URL(name, import.meta.url));

/** Packs the built library into `folder`; returns the tarball's path. */
export function pack(folder) {
  const [{ filename }] = JSON.parse(
    execFileSync('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], { cwd: root, encoding: 'utf8' }),
  );
  return join(folder, filename);
}

/** Copies the checkpoints into `models`. */
function copyModels(folder) {
  for (const path of MODELS) {
    const target = join(folder, 'models', basename(path));
    mkdirSync(target, { recursive: true });
    for (const name of FILES) if (existsSync(join(root, path, name))) copyFileSync(join(root, path, name), join(target, name));
  }
}

/** Writes a module that exports, as `name`, the bytes of a folder's files by their paths there, for bundles of hosts that read no files. */
function writeBytes(module, name, folder, files) {
  const imports = files.map((file, n) => `import _${n} from ${JSON.stringify(join(folder, file))} with { type: 'bytes' };`);
  const entries = files.map((file, n) => `${JSON.stringify(file)}: _${n}`);
  writeFileSync(module, `${imports.join('\n')}\nexport const ${name} = { ${entries.join(', ')} };\n`);
}

/** The golden files and the checkpoints as modules. */
function writeData(folder) {
  const goldens = readdirSync(goldenFolder).filter((name) => name.endsWith('.safetensors'));
  writeBytes(join(folder, 'goldens.mjs'), 'goldens', goldenFolder, goldens);
  const models = join(folder, 'models');
  const files = readdirSync(models, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map(({ parentPath, name }) => relative(models, join(parentPath, name)));
  writeBytes(join(folder, 'files.mjs'), 'files', models, paths);
}

/** Makes the project: the library from the tarball, the checkpoints, the bundle of the cases and the entries beside it. */
export async function makeProject(tarball) {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'relpos-conformance-')));
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'conformance', private: true, type: 'module' }));
  execFileSync('npm', ['install', '--offline', '--no-audit', '--no-fund', '--ignore-scripts', tarball], { cwd: folder });
  await build({
    entryPoints: [here('conform.ts')],
    bundle: true,
    format: 'esm',
    target: 'es2022',
    outfile: join(folder, 'conform.mjs'),
    logLevel: 'error',
  });
  copyModels(folder);
  writeData(folder);
  for (const name of readdirSync(here('entries'))) copyFileSync(here(`entries/${name}`), join(folder, name));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
