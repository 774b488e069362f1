import type { Draw } from './random.ts';

export const coverings = ['none', 'mask', 'sunglasses', 'cap', 'hand'] as const;
export type Covering = (typeof coverings)[number];

/** How a person is seen in one picture; nothing here tells who it is. */
export interface View {
  /** Degrees: yaw turns the face to the picture's right (180 shows the back of the head), pitch looks down, roll leans right. */
  readonly yaw: number;
  readonly pitch: number;
  readonly roll: number;
  /** -1 sad, 0 calm, 1 smiling. */
  readonly smile: number;
  /** 0 closed, 1 as in a laugh. */
  readonly mouthOpen: number;
  /** 0 shut, 1 as usual. */
  readonly eyesOpen: number;
  readonly browRaise: number;
  /** -1 to 1 each. */
  readonly gaze: readonly [x: number, y: number];
  /** Where the light comes from: 0 from the picture's left, 0.5 from above, 1 from the right. */
  readonly lightFrom: number;
  /** 0 even light, 1 hard shadows. */
  readonly lightHardness: number;
  readonly covering: Covering;
  /** Clothes. People change theirs: an outfit is not part of an identity. */
  readonly outfit: number;
  /** `bust` ends below the shoulders, `full` shows the whole figure. */
  readonly framing: 'bust' | 'full';
  /** Walking: 0 to 1 is two steps. Only `full` shows it. */
  readonly stride: number;
}

/** A calm face from the front in even light: a passport photo. */
export const frontView: View = {
  yaw: 0,
  pitch: 0,
  roll: 0,
  smile: 0.45,
  mouthOpen: 0,
  eyesOpen: 1,
  browRaise: 0,
  gaze: [0, 0],
  lightFrom: 0.4,
  lightHardness: 0.35,
  covering: 'none',
  outfit: 1,
  framing: 'bust',
  stride: 0,
};

/**
 * A view as a camera in a passage gets it. `turned` widens the head's turns: 1 reaches 50 degrees to the sides.
 */
export function viewOf(draw: Draw, turned = 1): View {
  const laughing = draw.chance(0.2);
  return {
    yaw: Math.max(-50, Math.min(50, draw.near(0, 21))) * turned,
    pitch: Math.max(-25, Math.min(28, draw.near(4, 9))) * turned,
    roll: draw.near(0, 5),
    smile: draw.near(0.35, 0.4),
    mouthOpen: laughing ? draw.between(0.3, 1) : draw.chance(0.25) ? draw.between(0, 0.4) : 0,
    eyesOpen: draw.chance(0.06) ? draw.between(0, 0.3) : draw.between(0.75, 1.15),
    browRaise: draw.near(0, 0.35),
    gaze: [draw.near(0, 0.4), draw.near(0, 0.25)],
    lightFrom: draw(),
    lightHardness: draw.between(0, 1),
    covering: draw.chance(0.93) ? 'none' : draw.of(coverings),
    outfit: draw.whole(1 << 30),
    framing: 'bust',
    stride: draw(),
  };
}
