import { mkdir, open, readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { openDocument, type PublicKey, type SigningKey, signDocument } from '@star/platform';
import { z } from 'zod';
import type { AuditHead } from './verify-audit';

const headDocument = z.object({
  day: z.iso.date(),
  at: z.iso.datetime(),
  heads: z.array(z.object({ tenantId: z.uuid(), seq: z.int().min(0), hash: z.string().regex(/^[0-9a-f]{64}$/) })),
});
/** The ends of chains as of a moment. */
export type HeadDocument = z.infer<typeof headDocument>;

const documentType = 'star-audit-heads+jws';

export const signHeads = (document: HeadDocument, key: SigningKey): Promise<string> =>
  signDocument(headDocument.parse(document), documentType, key);

/** Throws when the text is no document of heads, or was not signed with this key. */
export const openHeads = async (jws: string, key: PublicKey): Promise<HeadDocument> =>
  headDocument.parse(await openDocument(jws, documentType, key));

const nameOf = (day: string) => `${day}.jws`;

/** Whether the heads of a day are in the folder. */
export const hasHeads = async (folder: string, day: string): Promise<boolean> => (await headFiles(folder)).includes(nameOf(day));

/** Durable and whole when it resolves. */
export async function writeHeads(folder: string, day: string, jws: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, nameOf(day));
  const file = await open(`${path}.new`, 'w', 0o600);
  try {
    await file.writeFile(`${jws}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
  const listed = await open(folder);
  await listed.sync().finally(() => listed.close());
}

const headFiles = async (folder: string): Promise<string[]> => {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return names.filter((name) => /^\d{4}-\d\d-\d\d\.jws$/.test(name)).sort();
};

/**
 * The heads in these files and in the folder of the daily exports. A file that is not Star's throws with its name, and
 * so does one in the folder that is another day's: an older one in its place would know less.
 */
export async function readHeadFiles(key: PublicKey, folder: string, files: readonly string[] = []): Promise<AuditHead[]> {
  const exported = (await headFiles(folder)).map(async (name) => {
    const document = await readHeadFile(join(folder, name), key);
    if (nameOf(document.day) !== name) throw new Error(`${join(folder, name)} holds the heads of ${document.day}`);
    return document;
  });
  const documents = await Promise.all([...exported, ...files.map((path) => readHeadFile(path, key))]);
  return documents.flatMap(({ day, heads }) => heads.map((head) => ({ ...head, day })));
}

async function readHeadFile(path: string, key: PublicKey): Promise<HeadDocument> {
  const text = await readFile(path, 'utf8');
  return openHeads(text, key).catch((error: unknown) => {
    throw new Error(`${path} holds no heads signed by this Star`, { cause: error });
  });
}
