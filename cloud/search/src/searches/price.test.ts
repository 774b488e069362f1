import { priceOf } from './price';

describe('price of camera-time', () => {
  it.each([
    [3_600_000, '0.10', '0.10'],
    [3_600_000 * 3, '0.1', '0.30'],
    [1, '0.12', '0.00'],
    [180_000, '0.1', '0.01'],
    [179_999, '0.1', '0.00'],
    [4096 * 31 * 86_400_000, '0.123456', '376222.78'],
  ])('%d camera-ms at %s an hour cost %s', (ms, price, expected) => {
    expect(priceOf(ms, price)).toBe(expected);
  });
  it('refuses a price that is not a decimal', () => {
    expect(() => priceOf(1, '1e3')).toThrow('decimal');
  });
});
