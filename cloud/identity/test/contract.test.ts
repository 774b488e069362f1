/** The contract of identity providers, held by the embedded one. Real: PostgreSQL, HTTP, tokens, scrypt. */
import { identityContract } from '../../platform/test/identity.contract';
import { openWorld, type World } from './world';

let world: World;

beforeAll(async () => {
  world = await openWorld();
});
afterAll(async () => {
  await world?.close();
});

describe('the embedded provider', () => {
  identityContract(() => world);

  it('has met no error of its own in all this', () => {
    expect(world.errors).toEqual([]);
  });
});
