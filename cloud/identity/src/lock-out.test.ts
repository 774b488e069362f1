import { lockMs } from './lock-out';
import { hashPassword, verifyPassword } from './password';

describe('lock-out', () => {
  it('lets people mistype, then waits longer each time, and never for ever', () => {
    expect([1, 4, 5, 6, 7, 30, 100_000].map(lockMs)).toEqual([0, 0, 15_000, 30_000, 60_000, 900_000, 900_000]);
  });
});

describe('passwords', () => {
  it('match only themselves, composed or decomposed, and never a user who does not exist', async () => {
    const hash = await hashPassword('caf\u00e9 au lait');
    expect(await hashPassword('caf\u00e9 au lait')).not.toBe(hash);
    expect(await verifyPassword('cafe\u0301 au lait', hash)).toBe(true);
    expect(await verifyPassword('cafe au lait', hash)).toBe(false);
    expect(await verifyPassword('anything', undefined)).toBe(false);
    expect(await verifyPassword('anything', 'broken')).toBe(false);
  });
});
