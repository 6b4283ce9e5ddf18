// Jest: ES modules as Node has them behind a flag, and CommonJS, for which the package is transformed.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, tool, versionOf } from '../program.mjs';

export const name = 'jest';
export const version = () => versionOf('jest');

const TEST = `import { writeFileSync } from 'node:fs';
import { attend } from './attend.js';

test('attends', async () => writeFileSync('result.json', JSON.stringify(await attend())));
`;
const config = (options) => `export default ${JSON.stringify(options)};\n`;
const WAYS = {
  'ES modules': { environment: { NODE_OPTIONS: '--experimental-vm-modules' }, files: { 'jest.config.mjs': config({ transform: {} }) } },
  CommonJS: {
    environment: {},
    files: {
      type: 'commonjs',
      'jest.config.mjs': config({
        transform: {
          '\\.js$': ['babel-jest', { plugins: ['@babel/plugin-transform-dynamic-import', '@babel/plugin-transform-modules-commonjs'] }],
        },
        transformIgnorePatterns: ['/node_modules/(?!relpos/)'],
      }),
    },
  },
};

export async function findings({ make }) {
  const found = [];
  for (const [way, { environment, files }] of Object.entries(WAYS)) {
    const folder = make(`jest-${way.split(' ')[0]}`, { ...files, 'attend.test.js': TEST });
    await run(tool('jest'), ['--ci', '--no-cache'], folder, environment);
    found.push({ way, threads: 2, result: JSON.parse(readFileSync(join(folder, 'result.json'), 'utf8')) });
  }
  return found;
}
