import { expect, test } from 'vitest';
import { hashOf, parseHash } from '../../src/address.ts';

test('what is written into an address is read from it', () => {
  const settings = { encoding: 't5', heads: '8', text: 'a & b = c? #%', empty: '' };
  expect(parseHash(hashOf('schemes', settings))).toEqual({ panel: 'schemes', settings });
});

test('settings that are undefined are not written, and none leave no question mark', () => {
  expect(hashOf('speed', { threads: undefined })).toBe('#/speed');
  expect(hashOf('speed', { threads: undefined, precision: 'int16' })).toBe('#/speed?precision=int16');
});

test.each([
  ['', ''],
  ['#', ''],
  ['#/', ''],
  ['#/cell', 'cell'],
  ['#cell', 'cell'],
  ['#/%', '%'],
  ['#/a%2Fb', 'a/b'],
])('the panel of %j is %j', (hash, panel) => {
  expect(parseHash(hash)).toEqual({ panel, settings: {} });
});

test('a broken escape in settings is taken as it stands', () => {
  expect(parseHash('#/cell?i=%&j=%zz').settings).toEqual({ i: '%', j: '%zz' });
});
