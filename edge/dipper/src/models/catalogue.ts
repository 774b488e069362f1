import { knownPacks, type PackSpec } from '@dipper/mizar';

export interface CatalogueFile {
  readonly url: string;
  readonly bytes: number;
}

/** A pack that can be had by its name. Its hashes and tensors are in `spec`. */
export interface CatalogueEntry {
  readonly name: string;
  readonly spec: PackSpec;
  readonly detector: CatalogueFile;
  readonly embedder: CatalogueFile;
}

/** Where Git LFS files of OpenCV Zoo are served; `raw.githubusercontent.com` has pointers only. */
const openCvZoo = 'https://media.githubusercontent.com/media/opencv/opencv_zoo/main/models';

const specOf = (id: string): PackSpec => {
  const spec = knownPacks.find((pack) => pack.id === id);
  if (!spec) throw new Error(`no known pack ${id}`);
  return spec;
};

export const catalogue: readonly CatalogueEntry[] = [
  {
    name: 'yunet-sface',
    spec: specOf('yunet-sface.1'),
    detector: { url: `${openCvZoo}/face_detection_yunet/face_detection_yunet_2023mar.onnx`, bytes: 232_589 },
    embedder: { url: `${openCvZoo}/face_recognition_sface/face_recognition_sface_2021dec.onnx`, bytes: 38_696_353 },
  },
];

export const bytesOf = ({ detector, embedder }: CatalogueEntry): number => detector.bytes + embedder.bytes;
