import type { DetectorSpec, EmbedderSpec, PackSpec } from './pack';

/**
 * Model files that need no pack.json: recognised by their hash, so that a folder of plain downloads works.
 * Facts are from the models' own pages and from measuring them; see the README for the measurements.
 */
const outputs = {
  cls: ['cls_8', 'cls_16', 'cls_32'],
  obj: ['obj_8', 'obj_16', 'obj_32'],
  bbox: ['bbox_8', 'bbox_16', 'bbox_32'],
  kps: ['kps_8', 'kps_16', 'kps_32'],
} satisfies DetectorSpec['outputs'];

const yunet = { decoder: 'yunet', colour: 'bgr', scale: 1, inputName: 'input', outputs, minScore: 0.6, nmsIou: 0.3 } as const;

const yunetDynamic: DetectorSpec = {
  ...yunet,
  file: 'yunet_n_dynamic.onnx',
  sha256: '104ee26c71d5c270ce79a6b3dced91c91013260d29a6bf18f9296c5b8c4c2b12',
  // Of 35 portraits over 1080p, at 48 px: 34 found at 640 (11 ms), 35 at 768 (18 ms) and 960 (30 ms). At 32 px: 23, 31, 35.
  // 960 is taken for the margin, and because one half of 1080p is the cheapest to make.
  input: { dynamic: true, longestSide: 960, minScale: 0.5 },
  refineInput: 128,
};
const yunetFixed: DetectorSpec = {
  ...yunet,
  file: 'face_detection_yunet_2023mar.onnx',
  sha256: '8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4',
  input: [640, 640],
};
const mobileFaceNet: EmbedderSpec = {
  file: 'mobilefacenet_128.onnx',
  sha256: 'ada25a2c0241171ce1637ae32e318e92325849f7f73125bdea00a3dc58fd9c7c',
  input: 112,
  colour: 'rgb',
  scale: 1 / 255,
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
  dimension: 128,
  inputName: 'input0',
  outputName: 'output0',
  mirror: true,
};
const sface: EmbedderSpec = {
  file: 'face_recognition_sface_2021dec.onnx',
  sha256: '0ba9fbfa01b5270c96627c4ef784da859931e02f04419c829e83484087c34e79',
  input: 112,
  colour: 'bgr',
  scale: 1,
  mean: [0, 0, 0],
  std: [1, 1, 1],
  dimension: 128,
  inputName: 'data',
  outputName: 'fc1',
  mirror: false,
};

/** In order of preference: the first whose files all lie in the folder is taken. */
export const knownPacks: readonly PackSpec[] = [
  {
    id: 'yunet-sface.1',
    name: 'YuNet + SFace',
    version: '1',
    licence: 'MIT (YuNet), Apache-2.0 (SFace)',
    source: 'OpenCV Zoo',
    detector: yunetFixed,
    embedder: sface,
    minFacePx: 48,
    // OpenCV's own figure for SFace is 0.363 at its best accuracy on LFW; not measured here.
    thresholds: { default: 0.45 },
  },
  {
    id: 'yunet-mobilefacenet.1',
    name: 'YuNet-n + MobileFaceNet',
    version: '1',
    licence: 'Apache-2.0; the embedder was trained on MS-Celeb-1M: for tests only',
    source: 'libfacedetection.train, foamliu/MobileFaceNet',
    detector: yunetDynamic,
    embedder: mobileFaceNet,
    minFacePx: 48,
    // Rates as the model's page measured them. Of 35 portraits over 1080p at 48 to 96 px, three places each, with refineInput and
    // mirror: one person's pairs scored 0.545 and more, strangers 0.465 and less. Without either, 0.433 and 0.489: no threshold fits.
    thresholds: { '0.001': 0.366, '0.0001': 0.433, default: 0.5 },
  },
];
