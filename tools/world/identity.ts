/** What an installation keeps from one start to the next: its passwords, ports, and the hour its footage shows. */

import { randomBytes } from 'node:crypto';
import { chmod, readFile, rename, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';

export const boxNames = ['east', 'west'] as const;
export type BoxName = (typeof boxNames)[number];

/** What must not change between two starts of one folder. */
export interface Identity {
  /** The model pack and whose faces: what is kept of one says nothing about another. */
  readonly shown: string;
  readonly password: string;
  readonly recorderPassword: string;
  readonly startAt: number;
  readonly ports: { readonly http: number; readonly mqtt: number; readonly recorders: Record<BoxName, number> };
  readonly provisioning: Partial<Record<BoxName, { readonly key: string; readonly secret: string }>>;
}

/** The folder's identity; made and written when there is none. Throws when the folder shows something else than is asked for. */
export async function readIdentity(folder: string, shown: string): Promise<Identity> {
  let known: Identity | undefined;
  try {
    known = JSON.parse(await readFile(join(folder, 'identity.json'), 'utf8')) as Identity;
  } catch {
    // None yet, or a start was broken off before it was written.
  }
  if (!known) {
    const [http, mqtt, east, west] = await freePorts(4);
    const identity: Identity = {
      shown,
      password: randomBytes(9).toString('base64url'),
      recorderPassword: randomBytes(9).toString('base64url'),
      // A whole minute, long enough ago that every file is closed.
      startAt: Math.floor((Date.now() - 30 * 60_000) / 60_000) * 60_000,
      ports: { http: http as number, mqtt: mqtt as number, recorders: { east: east as number, west: west as number } },
      provisioning: {},
    };
    await writeIdentity(folder, identity);
    return identity;
  }
  if (known.shown !== shown)
    throw new Error(`${folder} holds an installation with another model pack or other people. Start over (--fresh), or name those.`);
  return known;
}

export async function writeIdentity(folder: string, identity: Identity): Promise<void> {
  const file = join(folder, 'identity.json');
  await writeFile(`${file}.new`, JSON.stringify(identity, null, 1), { mode: 0o600 });
  await chmod(`${file}.new`, 0o600);
  await rename(`${file}.new`, file);
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((done) => {
          server.listen(0, '127.0.0.1', () => done((server.address() as { port: number }).port));
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  return ports;
}
