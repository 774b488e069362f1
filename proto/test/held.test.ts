import { featureMissing, type Held, holdsOn, opens, type Permission } from '@stardipper/proto';

const held = (permissions: readonly Permission[], ...onAreas: Held['onAreas'][number][]): Held => ({ permissions, onAreas });
const everywhere = held(['people.read', 'people.write']);
const below = held([], { areaId: 'north', permissions: ['people.read', 'people.write', 'edges.write'] });

it.each([
  ['everywhere, an area is enough', everywhere, 'GET /api/v1/people', true],
  ['everywhere, it must be', everywhere, 'POST /api/v1/people', true],
  ['on an area, that is enough', below, 'GET /api/v1/people', true],
  ['on an area, it must be everywhere', below, 'POST /api/v1/people', false],
  ['something else', everywhere, 'GET /api/v1/edges', false],
  ['nothing, and anyone may', held([]), 'GET /api/v1/me', true],
  ['everything there is, of a route nobody knows', everywhere, 'GET /api/v1/nothing', false],
] as const)('who holds %s', (_, who, route, opened) => {
  expect(opens(who, route)).toBe(opened);
});

it('a role on an area holds below it, and not beside or above it', () => {
  expect(holdsOn(below, 'edges.write', ['top', 'north', 'tower'])).toBe(true);
  expect(holdsOn(below, 'edges.write', ['top', 'south'])).toBe(false);
  expect(holdsOn(below, 'edges.write', ['top'])).toBe(false);
  expect(holdsOn(everywhere, 'people.write', [])).toBe(true);
});

it.each([
  ['POST /api/v1/searches', ['apiKeys'], 'search'],
  ['POST /api/v1/searches', ['search'], undefined],
  ['GET /api/v1/searches', [], undefined],
] as const)('%s with %j misses %s', (route, has, missing) => {
  expect(featureMissing(has, route)).toBe(missing);
});
