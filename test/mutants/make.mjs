/**
 * Makes mutations of files in a folder: what is wrong then, where, what stands there, what takes its place, and the suites that must notice.
 * Of the kernels those of `target` are built, by default the baseline.
 */
export const mutationsOf = (folder, target) => (name, file, find, replace, suites) => ({
  name,
  file: `${folder}/${file}`,
  find,
  replace,
  suites: suites.map((suite) => `test/${suite}.test.ts`),
  ...(target && { target }),
});
