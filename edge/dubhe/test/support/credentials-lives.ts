/** Writes one token after the other until it is killed; goes on from what it finds. Says each that is promised. */
import { writeSync } from 'node:fs';
import { credentialsPath, readCredentials, writeCredentials } from '../../src/credentials';

const path = credentialsPath(process.argv[2] as string);
let n = Number(readCredentials(path)?.token ?? 0);
writeSync(1, `${n}\n`);
for (;;) {
  n += 1;
  writeCredentials(path, { state: n % 2 === 0 ? 'provisioned' : 'asked', token: String(n), deviceName: 'x'.repeat(n * 100) });
  writeSync(1, `${n}\n`);
}
