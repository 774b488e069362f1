/** Puts what was measured into the pack's README and pack.json. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PackSpec } from '../../../dist/pack/pack.js';

export interface Recall {
  readonly facePx: number;
  readonly shown: number;
  readonly found: number;
  /** Detections where nobody is. */
  readonly stray: number;
  /** As a share of the distance between the eyes: the median and the 95th of a hundred. */
  readonly landmarksOff: number;
  readonly landmarksOff95: number;
  /** The found box's shorter side as a share of the true one: the 1st and 99th of a hundred. */
  readonly boxLow: number;
  readonly boxHigh: number;
}

export interface Figures {
  readonly quality: number;
  readonly recall: readonly Recall[];
  readonly empty: { readonly frames: number; readonly faces: number; readonly best: number };
  readonly recognition: {
    readonly people: number;
    readonly shown: number;
    readonly detected: number;
    readonly refused: number;
    readonly first: number;
    readonly same: readonly number[];
    readonly different: readonly number[];
    readonly differentPairs: number;
    readonly highestStranger: number;
    readonly rates: readonly { readonly rate: number; readonly threshold: number; readonly accepted: number }[];
    readonly turned: readonly { readonly degrees: string; readonly count: number; readonly scores: readonly number[] }[];
    readonly lookAlikes: readonly number[];
  };
}

const percent = (share: number): string => `${(share * 100).toFixed(share > 0.999 ? 2 : 1)} %`;
/** Without an exponent. */
const decimal = (rate: number): string => rate.toFixed(7).replace(/0+$/, '');
const n3 = (v: number): string => v.toFixed(3);
const [begin, end] = ['<!-- measured -->', '<!-- /measured -->'];

export function writeFigures(folder: string, spec: PackSpec, figures: Figures, keep: boolean): void {
  const thresholds: Record<string, number> = {};
  for (const { rate, threshold } of figures.recognition.rates) thresholds[decimal(rate)] = Math.ceil(threshold * 1000) / 1000;
  // A search shows thousands of faces to each person it looks for, some of whom look like them; and whoever walks by is seen
  // more than once, so a single frame that is missed costs little.
  const chosen = thresholds['0.000001'] as number;
  const text = report(figures, chosen);
  console.log(text);
  if (!keep) return;
  const readme = join(folder, 'README.md');
  const old = readFileSync(readme, 'utf8');
  writeFileSync(readme, `${old.slice(0, old.indexOf(begin) + begin.length)}\n${text}\n${old.slice(old.indexOf(end))}`);
  const { '0.01': _, ...kept } = thresholds;
  writeFileSync(join(folder, 'pack.json'), `${JSON.stringify({ ...spec, thresholds: { ...kept, default: chosen } }, null, 2)}\n`);
}

function report({ recall, empty, recognition: r, quality }: Figures, chosen: number): string {
  const over = (scores: readonly number[]): string => percent(scores.filter((s) => s > chosen).length / Math.max(1, scores.length));
  return [
    `People, places and clothes that no training picture shows, in 1920 x 1080 H.264 (x264, constant rate factor ${quality}), through Mizar's own decoder of outputs, second look, alignment and photo path. Faces turn up to 50 degrees aside; none is covered.`,
    '',
    '| face, shorter side | shown | found | landmarks off, share of the eyes’ distance: median, 95 % | box, share of the true one: 1 % to 99 % |',
    '| --- | --- | --- | --- | --- |',
    ...recall.map(
      (x) =>
        `| ${x.facePx} px | ${x.shown} | ${percent(x.found / x.shown)} | ${n3(x.landmarksOff)}, ${n3(x.landmarksOff95)} | ${x.boxLow.toFixed(2)} to ${x.boxHigh.toFixed(2)} |`,
    ),
    '',
    `False detections: ${empty.faces} in ${empty.frames} frames without people (${((empty.faces / empty.frames) * 1000).toFixed(1)} per 1,000${empty.faces > 0 ? `, the surest with ${empty.best.toFixed(2)}` : ''}); beside people, ${recall.reduce((sum, x) => sum + x.stray, 0)} in ${recall.reduce((sum, x) => sum + x.shown, 0)} faces' frames.`,
    '',
    `Recognition: ${r.people} people enrolled with one photo each (${r.refused} photos refused), then filmed at 48 to 96 px: ${r.detected} of ${r.shown} faces found, compared with every photo (${r.differentPairs.toLocaleString('en')} pairs of strangers).`,
    '',
    '| | cosine |',
    '| --- | --- |',
    `| same person: 1 %, 5 %, median | ${r.same.map(n3).join(', ')} |`,
    `| strangers: median, 99 %, 99.99 %, highest | ${[...r.different, r.highestStranger].map(n3).join(', ')} |`,
    '',
    '| false accept rate | threshold | true accept rate |',
    '| --- | --- | --- |',
    ...r.rates.map((x) => `| ${decimal(x.rate)} | ${n3(x.threshold)} | ${percent(x.accepted)} |`),
    '',
    `First of ${r.people} (rank 1): ${percent(r.first)}. At the default threshold of ${chosen}, by how far the head is turned: ${r.turned.map((t) => `${t.degrees} degrees ${over(t.scores)} of ${t.count}`).join('; ')}.`,
    '',
    `Look-alikes (same hair, colours, beard and glasses on another face, photo against photo): ${over(r.lookAlikes)} of ${r.lookAlikes.length} pass the default threshold; median ${n3([...r.lookAlikes].sort((a, b) => a - b)[r.lookAlikes.length >> 1] ?? Number.NaN)}.`,
  ].join('\n');
}
