/** The renderer promises the same people everywhere, and to know exactly where their faces are. */
import sharp from 'sharp';
import { firstUnseenSeed, trainingPerson } from '../cast.ts';
import { identityOf, lookAlikeOf } from '../identity.ts';
import { drawFrom } from '../random.ts';
import { rasterise, renderFace } from '../render-face.ts';
import { sceneOf } from '../scenes.ts';
import { frontView, viewOf } from '../view.ts';

const seeds = [1, 2, 3, 40, 500, firstUnseenSeed, firstUnseenSeed + 77];

test('a seed is one person, and another seed another', () => {
  for (const seed of seeds) expect(identityOf(seed)).toEqual(identityOf(seed));
  expect(new Set(seeds.map((s) => JSON.stringify(identityOf(s)))).size).toBe(seeds.length);
});

test('a view draws the same picture every time, but for the names of its gradients', () => {
  const draw = (): string => renderFace(identityOf(5), viewOf(drawFrom(9)), 60).svg.replace(/p\d+(?=[a-z])/g, 'p');
  expect(draw()).toBe(draw());
});

test('from the front the shorter side of the box is the size asked for', () => {
  for (const seed of seeds) {
    const { box } = renderFace(identityOf(seed), frontView, 80);
    expect(Math.min(box.width, box.height)).toBeCloseTo(80, 5);
  }
});

test.each([0, -40, 35])('landmarks lie in the box in their order, turned by %d degrees', (yaw) => {
  for (const seed of seeds) {
    const { box, landmarks, widthPx, heightPx, faceVisible } = renderFace(identityOf(seed), { ...frontView, yaw }, 100);
    const at = (i: number) => ({ x: landmarks[i * 2]!, y: landmarks[i * 2 + 1]! });
    expect(faceVisible).toBe(true);
    expect(at(0).x).toBeLessThan(at(1).x);
    expect(at(3).x).toBeLessThan(at(4).x);
    for (const eye of [at(0), at(1)]) expect(eye.y).toBeLessThan(at(2).y);
    for (const corner of [at(3), at(4)]) expect(corner.y).toBeGreaterThan(at(2).y);
    for (const mark of [0, 1, 3, 4].map(at)) {
      expect(mark.x).toBeGreaterThanOrEqual(box.x);
      expect(mark.x).toBeLessThanOrEqual(box.x + box.width);
      expect(mark.y).toBeGreaterThan(box.y);
      expect(mark.y).toBeLessThan(box.y + box.height);
    }
    expect(box.x).toBeGreaterThan(0);
    expect(box.x + box.width).toBeLessThan(widthPx);
    expect(box.y + box.height).toBeLessThan(heightPx);
  }
});

test('the nose moves further than the eyes when the head turns', () => {
  const front = renderFace(identityOf(7), frontView, 100).landmarks;
  const turned = renderFace(identityOf(7), { ...frontView, yaw: 25 }, 100).landmarks;
  expect(turned[4]! - front[4]!).toBeGreaterThan(turned[0]! - front[0]!);
  expect(turned[4]! - front[4]!).toBeGreaterThan(turned[2]! - front[2]!);
});

test('nobody seen from behind has a face', () => {
  for (const yaw of [120, 180, -150]) expect(renderFace(identityOf(3), { ...frontView, yaw }, 80).faceVisible).toBe(false);
});

test('a look-alike keeps hair, colours, beard and glasses and has a face built differently', () => {
  const person = identityOf(11);
  const double = lookAlikeOf(person, 900);
  expect(double).toMatchObject({ hair: person.hair, beard: person.beard, glasses: person.glasses });
  expect(double.skin.colour).toEqual(person.skin.colour);
  expect(double.nose).not.toEqual(person.nose);
  expect(lookAlikeOf(person, 900, 0)).toEqual({ ...person, skin: { ...person.skin, spots: identityOf(900).skin.spots } });
});

test('the people of the training are not those to be measured with', () => {
  const trained = new Set(Array.from({ length: 200 }, (_, i) => JSON.stringify(trainingPerson(i))));
  for (let i = 0; i < 200; i++) expect(trained.has(JSON.stringify(identityOf(firstUnseenSeed + i)))).toBe(false);
});

test('a person is drawn on a transparent ground, a scene fills its picture', async () => {
  const face = renderFace(identityOf(1), { ...frontView, framing: 'full' }, 40);
  const pixels = await rasterise(face);
  expect(pixels).toHaveLength(face.widthPx * face.heightPx * 4);
  expect(pixels[3]).toBe(0);
  const [x, y] = [Math.round(face.landmarks[4]!), Math.round(face.landmarks[5]!)];
  expect(pixels[(y * face.widthPx + x) * 4 + 3]).toBe(255);
  for (const calm of [true, false]) {
    const { width, height, channels } = await sharp(Buffer.from(sceneOf(4, calm)))
      .removeAlpha()
      .metadata();
    expect([width, height, channels]).toEqual([1920, 1080, 4]);
  }
});
