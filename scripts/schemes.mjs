// The list of position schemes, gathered from their own files: whatever in src/encodings and src/huggingface exports `schemes` is one. What such a
// file makes public are its exported types and those of its exported functions that have an @example.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';

const TYPE = /^export (?:interface|type) (\w+)/gm;
const FUNCTION = /(\/\*\*(?:(?!\*\/)[\s\S])*\*\/)\s*export function (\w+)/g;

function publicNames(source) {
  const types = [...source.matchAll(TYPE)].map(([, name]) => `type ${name}`);
  const functions = [...source.matchAll(FUNCTION)].filter(([, comment]) => comment.includes('@example')).map(([, , name]) => name);
  return [...types, ...functions].sort((a, b) => a.replace('type ', '').localeCompare(b.replace('type ', '')));
}

/** Writes src/encodings/generated: the public names of all schemes, the registry, and the recipes (bench/schemes.mjs). */
export function writeSchemes(banner) {
  const files = ['src/encodings', 'src/huggingface']
    .flatMap((folder) => readdirSync(folder).map((name) => `${folder}/${name}`))
    .filter((path) => path.endsWith('.ts'))
    .map((path) => ({ path, source: readFileSync(path, 'utf8') }))
    .filter(({ source }) => source.includes('export const schemes:'));
  const from = (path) => `'../../${path.replace('src/', '')}'`;
  const imports = files.map(({ path }, n) => `import { schemes as s${n} } from ${from(path)};`);
  const names = files.map(({ path, source }) => `export { ${publicNames(source).join(', ')} } from ${from(path)};`);
  const list = `export const found: readonly Scheme[] = [${files.map((_, n) => `...s${n}`).join(', ')}];`;
  mkdirSync('src/encodings/generated', { recursive: true });
  const write = (name, lines) => writeFileSync(`src/encodings/generated/${name}.ts`, `${banner}${lines.join('\n')}\n`);
  write('schemes', names);
  write('registry', ["import type { Scheme } from '../scheme.ts';", ...imports, '', list]);
  const cooked = files.filter(({ source }) => source.includes('export const recipes:'));
  write('recipes', [
    "import type { Recipes } from '../recipe.ts';",
    ...cooked.map(({ path }, n) => `import { recipes as r${n} } from ${from(path)};`),
    "\nexport { lengthOf } from '../recipe.ts';",
    `export const recipes: Recipes = { ${cooked.map((_, n) => `...r${n}`).join(', ')} };`,
  ]);
}
