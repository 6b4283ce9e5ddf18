import { packageVersion } from '../bench/generated/version.ts';

/** The package's version, which the build writes down: reading package.json would ask Deno's user for a permission. */
export function version(): string {
  return packageVersion;
}
