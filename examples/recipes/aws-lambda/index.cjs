// `import()`, not `require`: Lambda's Node 20 and 22 have switched `require` of ES modules off.
const made = import('relpos').then(({ createEngine }) => createEngine({ maxMemory: 256 * 2 ** 20 }));
const replying = import('./reply.mjs');

exports.handler = async (event) => {
  const { reply } = await replying;
  return reply(await made, event);
};
