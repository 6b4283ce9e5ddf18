import { readFileSync } from 'node:fs';

/** The installed version of a peer, read from its own package.json. */
export function packageVersion(name) {
  const url = new URL(`../node_modules/${name}/package.json`, import.meta.url);
  return JSON.parse(readFileSync(url, 'utf8')).version;
}
