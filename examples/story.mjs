// What `npm run story` runs: a whole trained model goes on with a text, on the real command line; `npm start` does it too.
//   node examples/story.mjs
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

/** Has a small trained model go on with a text, shows it, and says whether transformers went on alike. */
export function continues() {
  const folder = 'examples/models/story-llama';
  const [{ prompt, text, tokens }] = JSON.parse(readFileSync(`${folder}/reference.json`, 'utf8')).cases;
  console.log(`\nA whole model, 5 layers of LLaMA's kind trained on one old book, goes on with a text, always with the likeliest token\n`);
  console.log(`  $ relpos generate ${folder} --prompt "${prompt}" --max-tokens ${tokens.length} --temperature 0\n`);
  const words = ['dist/cli/main.js', 'generate', folder, '--prompt', prompt, '--max-tokens', `${tokens.length}`, '--temperature', '0', '--json'];
  const { status, stdout } = spawnSync(process.execPath, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  if (status !== 0) return false;
  const written = JSON.parse(stdout).text;
  console.log(`  ${prompt}${written}`.replaceAll('\n', '\n  '));
  const alike = written === text;
  console.log(alike ? `\ntransformers goes on with the same words.` : `\nNO MATCH: transformers goes on with other words.`);
  return alike;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.chdir(fileURLToPath(new URL('..', import.meta.url)));
  process.exitCode = continues() ? 0 : 1;
}
