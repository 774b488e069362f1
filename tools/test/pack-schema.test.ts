import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { renderPackSchema } from '../docs/pack-schema.ts';

test('docs/reference/pack.schema.json is the schema by which packs are read; `npm run docs` writes it', () => {
  expect(readFileSync(join(__dirname, '..', '..', 'docs', 'reference', 'pack.schema.json'), 'utf8')).toBe(renderPackSchema());
});
