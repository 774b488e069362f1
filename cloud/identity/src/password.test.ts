import { readFile } from 'node:fs/promises';
import { hashPassword, verifyPassword } from './password';

it('takes the password it hashed and no other, however its letters are composed', async () => {
  const stored = await hashPassword('Ångström 7');
  expect(await verifyPassword('A\u030angstro\u0308m 7', stored)).toBe(true);
  expect(await verifyPassword('Angstrom 7', stored)).toBe(false);
  expect(await verifyPassword('Ångström 7', undefined)).toBe(false);
});

it('leaves threads to everything else, however many log in at once', async () => {
  let done = 0;
  const flood = Array.from({ length: 16 }, () => verifyPassword('guess', undefined).then(() => done++));
  // Several turns on the same threads.
  for (let turns = 0; turns < 5; turns++) await readFile(__filename);
  expect(done).toBeLessThan(8);
  await Promise.all(flood);
});
