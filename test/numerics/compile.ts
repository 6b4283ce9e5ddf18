/** Functions of the kernels that are no exports of theirs, through a wrapper that is compiled for a test. */
import { readFileSync } from 'node:fs';
import { instantiate } from '@assemblyscript/loader';
import asc from 'assemblyscript/asc';

/** The exports of `wrapper`, AssemblyScript that may import the kernels' files of these names. */
export async function compileKernels<T>(wrapper: string, files: readonly string[]): Promise<T> {
  const source = (name: string): string => readFileSync(new URL(`../../build/kernels/${name}.ts`, import.meta.url), 'utf8');
  const sources = { 'wrapper.ts': wrapper, ...Object.fromEntries(files.map((name) => [`${name}.ts`, source(name)])) };
  const { error, binary, stderr } = await asc.compileString(sources, { runtime: 'stub', enable: ['simd'], optimizeLevel: 3 } as never);
  if (error || !binary) throw error ?? new Error(stderr.toString());
  return (await instantiate(new Uint8Array(binary))).exports as T;
}
