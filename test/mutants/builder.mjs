// Builds a tree again and again, in a process of its own that keeps the compiler: from the second time on it takes half as long.
// Each message is a list of arguments for the tree's scripts/build.mjs; the answer is what went wrong, or nothing.
import process from 'node:process';
import { pathToFileURL } from 'node:url';

const script = process.argv[2];
let count = 0;
process.on('message', async (args) => {
  process.argv = [process.execPath, script, ...args];
  try {
    // A script runs once; under another address it is another one.
    await import(`${pathToFileURL(script)}?${count++}`);
    process.send({});
  } catch (error) {
    process.send({ error: String(error?.stack ?? error) });
  }
});
