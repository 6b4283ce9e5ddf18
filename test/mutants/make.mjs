/** Makes mutations of files in a folder: what is wrong then, where, what stands there, what takes its place, and the suites that must notice. */
export const mutationsOf = (folder) => (name, file, find, replace, suites) => ({
  name,
  file: `${folder}/${file}`,
  find,
  replace,
  suites: suites.map((suite) => `test/${suite}.test.ts`),
});
