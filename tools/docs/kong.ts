/** Writes docs/reference/kong.json, the policy table for Kong 3.9 in DB-less mode. Run by `npm run docs`. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { kongFile } from '@star/gateway';

/** To be replaced by an installation: the services' addresses, the issuer and its public key. */
const example = {
  upstreams: { tenants: 'http://star-tenants:8080', devices: 'http://star-devices:8080', search: 'http://star-search:8080' },
  issuer: 'https://star.example/realms/star',
  publicKey: '-----BEGIN PUBLIC KEY-----\nthe key of the issuer\n-----END PUBLIC KEY-----\n',
  algorithm: 'ES256',
} as const;

/** Lists of texts stand on one line where they fit, as the formatter wants them. */
export const renderKong = (): string =>
  `${JSON.stringify(kongFile(example), undefined, 2).replace(
    /^(.*)\[\n((?: +".*",?\n)+) +\](,?)$/gm,
    (all, before: string, inside: string, comma: string) => {
      const line = `${before}[${inside.trim().replace(/,\n +/g, ', ')}]${comma}`;
      return line.length <= 140 ? line : all;
    },
  )}\n`;

if (process.argv[1] === import.meta.filename) writeFileSync(join(process.cwd(), 'docs', 'reference', 'kong.json'), renderKong());
