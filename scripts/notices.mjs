// The licences of what the build bundles: dist/THIRD-PARTY.md, from what esbuild says went into the bundles. The page in web/ says the same of its own.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

/** The folders of packages that files are in, each once; files in none are left out. */
export const packagesOf = (files) => {
  const folders = files.map((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0]).filter((folder) => folder !== undefined);
  return [...new Set(folders)].sort();
};

/** The licence of a package, with its text. @throws if it has none, and none is given */
export function noticeOf(folder, given) {
  const { name, version, license } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'));
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  if (file === undefined && given === undefined) throw new Error(`${name} ${version} brings no licence text`);
  return `## ${name} ${version} (${license})\n\n${(given ?? readFileSync(`${folder}/${file}`, 'utf8')).trim()}\n`;
}

const inputsOf = (metafiles) => metafiles.flatMap(({ outputs }) => Object.values(outputs).flatMap((output) => Object.keys(output.inputs)));

/** Writes the file. @throws if a package has no licence text */
export function writeNotices(metafiles) {
  const parts = packagesOf(inputsOf(metafiles)).map((folder) => noticeOf(folder));
  writeFileSync(
    'dist/THIRD-PARTY.md',
    `# Licences of what is bundled\n\ntinybench is in relpos/bench; the others are in the script of the pages that \`relpos report\` writes.\n\n${parts.join('\n')}`,
  );
}
