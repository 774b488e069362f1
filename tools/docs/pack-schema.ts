/** Writes docs/reference/pack.schema.json from the schema by which Mizar reads a model pack's pack.json. Run by `npm run docs`. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packJsonSchema } from '@dipper/mizar';

/** The whole file. Lists of plain values stand on one line, as the formatter wants them. */
export const renderPackSchema = (): string =>
  `${JSON.stringify(packJsonSchema(), null, 2).replace(/\[\s+([^[\]{}]*?)\s+\]/g, (_, inside: string) => `[${inside.replace(/,\s+/g, ', ')}]`)}\n`;

if (process.argv[1] === import.meta.filename) {
  writeFileSync(join(process.cwd(), 'docs', 'reference', 'pack.schema.json'), renderPackSchema());
}
