// What the address holds of a cell, and how its numbers are written.
import { describe, expect, test } from 'vitest';
import { sizesOf } from '../../src/panels/cell/asked.ts';
import { four, percent, signed } from '../../src/panels/cell/numbers.ts';
import { readSettings, type Settings, within, writeSettings } from '../../src/panels/cell/settings.ts';
import { choose, descriptions } from '../../src/schemes/describe.ts';

/** Through the text of an address. */
function roundTrip(settings: Settings): Settings {
  const words = Object.entries(writeSettings(settings)).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return readSettings(Object.fromEntries(new URLSearchParams(new URLSearchParams(words).toString())));
}

describe('the address', () => {
  test('says nothing of what is as it would be anyway', () => {
    const words = Object.values(writeSettings(readSettings({})));
    expect(words.filter((word) => word !== undefined)).toEqual([]);
  });

  test.each(descriptions.map(({ name }) => name))('holds all settings of %s', (name) => {
    const plain = readSettings({ a: name });
    expect(roundTrip(plain)).toEqual(plain);
    const settings = within({
      ...plain,
      H: 3,
      D: 48,
      L: 7,
      S: 19,
      head: 2,
      causal: !plain.causal,
      window: 5,
      softcap: 2.5,
      sink: -1.5,
      i: 6,
      j: 18,
      block: 3,
      halves: true,
      inputs: { shared: 'slow', spread: 1.25, size: 0.5, seed: 9 },
    });
    expect(roundTrip(settings)).toEqual(settings);
  });

  test('of another panel, with larger pictures, comes to the end of what is possible here', () => {
    const { L, S, D, H, head, window, i } = readSettings({ L: '256', S: '256', D: '128', H: '4', head: '9', window: '100', i: '200' });
    expect({ L, S, D, H, head, window, i }).toEqual({ L: 32, S: 32, D: 64, H: 4, head: 3, window: 32, i: 31 });
  });

  test('of nonsense is that of nothing', () => {
    const words = { a: 'x', L: '', i: 'NaN', j: ' ', head: 'one', D: 'wide', softcap: '…', causal: 'maybe', block: '--', window: 'shut' };
    expect(readSettings(words)).toEqual(readSettings({}));
  });

  test('has no softcap that the engine would refuse', () => {
    expect(['1e-300', '0.001', '0.004', '2.345', '-1', '1e9'].map((softcap) => readSettings({ softcap }).softcap)).toEqual([
      0, 0, 0, 2.35, 0, 60,
    ]);
  });

  test('keeps the cell inside a window, which is a square', () => {
    const settings = within({ ...readSettings({}), scheme: choose('swin'), i: 31, j: 31 });
    const { L, S } = sizesOf(settings);
    expect([L, S, settings.i, settings.j]).toEqual([16, 16, 15, 15]);
  });
});

test.each([
  [0, '0.0000'],
  [-0, '0.0000'],
  [1.00004, '1.0000'],
  [-12.5, '−12.5000'],
  [0.00001, '1.00e−5'],
  [123_456, '123,456'],
  [Number.NEGATIVE_INFINITY, '−∞'],
  [Number.NaN, 'NaN'],
])('%d is written %s', (x, words) => expect(four(x)).toBe(words));

test('numbers to be added have a sign and a space', () => {
  expect([signed(1.5), signed(-1.5), signed(0)]).toEqual(['+ 1.5000', '− 1.5000', '+ 0.0000']);
});

test('shares are percents, however small', () => {
  expect([0, 1, 0.045, 0.00001, 1e-30].map(percent)).toEqual(['0 %', '100.00 %', '4.50 %', '0.00100 %', '1.00e−28 %']);
});
