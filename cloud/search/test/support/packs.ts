/** Real Mizars with copies of the project's own pack: other names, thresholds and smallest faces, so another pack. */
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { agentSocket } from '@dipper/platform';
import sharp from 'sharp';
import { TestMizar } from '../../../../edge/mizar/test/support/mizar';
import { identityOf } from '../../../../tools/people/identity.ts';
import { renderFace } from '../../../../tools/people/render-face.ts';
import { frontView } from '../../../../tools/people/view.ts';
import { connectMizar } from '../../src';
import { until } from './world';

const demo = join(__dirname, '..', '..', '..', '..', 'edge', 'mizar', 'packs', 'demo');

export interface PackCopy {
  readonly id: string;
  readonly threshold: number;
  readonly minFacePx: number;
}

/** Answers the folder of the copy. */
export async function copyOfDemoPack(under: string, { id, threshold, minFacePx }: PackCopy): Promise<string> {
  const folder = join(under, id);
  await mkdir(folder, { recursive: true });
  const pack = JSON.parse(await readFile(join(demo, 'pack.json'), 'utf8'));
  for (const { file } of [pack.detector, pack.embedder]) await copyFile(join(demo, file), join(folder, file));
  await writeFile(
    join(folder, 'pack.json'),
    JSON.stringify({ ...pack, id, minFacePx, thresholds: { ...pack.thresholds, default: threshold } }),
  );
  return folder;
}

/** The Mizar beside Star: one address, behind which the pack changes. */
export class StarMizar {
  readonly address: string;
  private running: TestMizar | undefined;

  constructor(readonly data: string) {
    this.address = `unix:${agentSocket(data, 'mizar')}`;
  }

  async use(pack: string): Promise<void> {
    await this.away();
    this.running = await TestMizar.start({ MIZAR_PACK: pack, MIZAR_THREADS: '1' }, this.data);
    // Clients of this process share a connection, which looks for a Mizar that was away only once a second.
    const client = connectMizar(this.address);
    await until('Mizar is found again', () => client.packNow().then(Boolean, () => false));
    client.close();
  }

  async away(): Promise<void> {
    await this.running?.stop(true);
    this.running = undefined;
  }
}

/** A drawn photo of somebody whose face is this wide. */
export async function drawnPhoto(person: number, facePx = 160, outfit = 1): Promise<Buffer> {
  const { svg } = renderFace(identityOf(1_900_000 + person), { ...frontView, outfit }, facePx);
  return sharp(Buffer.from(svg)).flatten({ background: '#9aa7a0' }).jpeg({ quality: 85 }).toBuffer();
}
