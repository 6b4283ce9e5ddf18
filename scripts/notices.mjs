// The licences of what the build bundles: dist/THIRD-PARTY.md, from what esbuild says went into the bundles.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

/** Folders of the packages whose files are in these bundles. */
const packagesOf = (metafiles) => {
  const inputs = metafiles.flatMap(({ outputs }) => Object.values(outputs).flatMap((output) => Object.keys(output.inputs)));
  const folders = inputs.map((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0]).filter((folder) => folder !== undefined);
  return [...new Set(folders)].sort();
};

/** Writes the file. @throws if a package has no licence text */
export function writeNotices(metafiles) {
  const parts = packagesOf(metafiles).map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'));
    const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
    if (file === undefined) throw new Error(`${name} ${version} brings no licence text`);
    return `## ${name} ${version} (${license})\n\n${readFileSync(`${folder}/${file}`, 'utf8').trim()}\n`;
  });
  writeFileSync(
    'dist/THIRD-PARTY.md',
    `# Licences of what is bundled\n\ntinybench is in relpos/bench; the others are in the script of the pages that \`relpos report\` writes.\n\n${parts.join('\n')}`,
  );
}
