import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PackSpec } from '../../src/pack/pack';
import { type TinyOutput, type TinyTensor, tinyOnnx } from './tiny-onnx';

const strides = [8, 16, 32] as const;
const side = 64;
const parts = { cls: 1, obj: 1, bbox: 4, kps: 10 };

export interface TinyModel {
  inputs: TinyTensor[];
  outputs: TinyOutput[];
}

/** A pack that Mizar takes: its models see nothing and know nobody, but have the right tensors. To be changed and written. */
export interface TinyPack {
  detector: TinyModel;
  embedder: TinyModel;
  /** Hashes are filled in on writing. */
  spec: PackSpec;
}

export function tinyPack(id: string): TinyPack {
  const names = (part: string): [string, string, string] => [`${part}_8`, `${part}_16`, `${part}_32`];
  const outputs = Object.entries(parts).flatMap(([part, perCell]) =>
    strides.map((stride): TinyOutput => ({ name: `${part}_${stride}`, shape: [1, (side / stride) ** 2, perCell] })),
  );
  return {
    detector: { inputs: [{ name: 'input', shape: [1, 3, side, side] }], outputs },
    embedder: {
      inputs: [{ name: 'face', shape: ['batch', 3, 112, 112] }],
      // The id makes models of their own: two packs are never the same bytes.
      outputs: [{ name: 'embedding', shape: [1, 16], value: 1 + id.length }],
    },
    spec: {
      id,
      name: `Tiny ${id}`,
      version: '1',
      licence: 'CC0-1.0',
      source: 'made by a test',
      detector: {
        file: 'detector.onnx',
        sha256: '0'.repeat(64),
        decoder: 'yunet',
        input: [side, side],
        colour: 'bgr',
        scale: 1,
        inputName: 'input',
        outputs: { cls: names('cls'), obj: names('obj'), bbox: names('bbox'), kps: names('kps') },
        minScore: 0.6,
        nmsIou: 0.3,
      },
      embedder: {
        file: 'embedder.onnx',
        sha256: '0'.repeat(64),
        input: 112,
        colour: 'rgb',
        scale: 1,
        mean: [0, 0, 0],
        std: [1, 1, 1],
        dimension: 16,
        inputName: 'face',
        outputName: 'embedding',
        mirror: false,
      },
      minFacePx: 48,
      thresholds: { default: 0.5 },
    },
  };
}

/** Into the folder, which is made; answers what its pack.json says. */
export function writeTinyPack(folder: string, { detector, embedder, spec }: TinyPack): PackSpec {
  mkdirSync(folder, { recursive: true });
  const put = (file: string, { inputs, outputs }: TinyModel): string => {
    const model = tinyOnnx(inputs, outputs);
    writeFileSync(join(folder, file), model);
    return createHash('sha256').update(model).digest('hex');
  };
  const written = {
    ...spec,
    detector: { ...spec.detector, sha256: put(spec.detector.file, detector) },
    embedder: { ...spec.embedder, sha256: put(spec.embedder.file, embedder) },
  };
  writeFileSync(join(folder, 'pack.json'), JSON.stringify(written));
  return written;
}
