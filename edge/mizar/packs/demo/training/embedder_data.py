"""Aligned faces as a camera and the detector would give them, made on the fly from the rendered heads."""

import json

import numpy as np
from PIL import Image

from damage import camera, light

CROP, FACE_PX, SIDE = 160, 96, 112
TEMPLATE = np.array([38.2946, 51.6963, 73.5318, 51.5014, 56.0252, 71.7366, 41.5493, 92.3655, 70.7299, 92.2041]).reshape(5, 2)


def similarity(source, target):
    """a, b, tx, ty of x' = a x - b y + tx, y' = b x + a y + ty, closest in squares; the same fit as Mizar's align.ts."""
    s, t = source - source.mean(0), target - target.mean(0)
    norm = (s**2).sum()
    a = (s * t).sum() / norm
    b = (s[:, 0] * t[:, 1] - s[:, 1] * t[:, 0]).sum() / norm
    tx, ty = target.mean(0) - [a * source[:, 0].mean() - b * source[:, 1].mean(), b * source[:, 0].mean() + a * source[:, 1].mean()]
    return a, b, tx, ty


def wobbled(rng):
    """The template as imprecise landmarks would turn, stretch and move it."""
    angle, stretch = np.deg2rad(rng.normal(0, 3.5)), 1 + rng.normal(0, 0.05)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) * stretch
    middle = TEMPLATE.mean(0)
    return (TEMPLATE - middle) @ turn + middle + rng.normal(0, 1.6, 2)


class Faces:
    def __init__(self, folder, checked=100):
        self.facts = json.load(open(f"{folder}/faces.json"))
        self.pixels = np.memmap(f"{folder}/faces.bin", np.uint8, "r").reshape(-1, CROP, CROP, 4)
        self.scenes = np.memmap(f"{folder}/scenes.bin", np.uint8, "r").reshape(-1, 1080, 1920, 3)
        self.person = np.array([f["person"] for f in self.facts])
        self.marks = np.array([f["marks"] for f in self.facts], np.float64).reshape(-1, 5, 2)
        self.people = int(self.person.max()) + 1 - checked
        self.train = np.nonzero(self.person < self.people)[0]
        self.check = np.nonzero(self.person >= self.people)[0]

    def background(self, rng):
        if rng.random() < 0.5:
            return Image.new("RGB", (CROP, CROP), tuple(int(v) for v in rng.integers(0, 255, 3)))
        x, y = rng.integers(0, 1920 - CROP), rng.integers(0, 1080 - CROP)
        return Image.fromarray(np.ascontiguousarray(self.scenes[rng.integers(len(self.scenes)), y : y + CROP, x : x + CROP]))

    def sample(self, rng, i):
        """One aligned face, bytes [112, 112, 3]."""
        picture = self.background(rng)
        head = Image.fromarray(np.asarray(self.pixels[i]), "RGBA")
        picture.paste(head, (0, 0), head)
        picture = Image.fromarray(light(rng, np.asarray(picture)))
        # The face's size in the frame: a little less than the pack promises, and more than is drawn here.
        px = float(np.exp(rng.uniform(np.log(38), np.log(130))))
        scale = 1.0
        if px < FACE_PX:
            side = max(40, round(CROP * px / FACE_PX))
            scale = side / CROP
            picture = picture.resize((side, side), Image.BILINEAR)
        picture = camera(rng, picture, worst=40, shake=0.7)
        marks = self.marks[i] * scale
        size = FACE_PX * scale
        # The detector's landmarks: each off by itself, and all together turned, moved and stretched as measured.
        marks = marks + rng.normal(0, 0.012 * size + 0.2, (5, 2))
        a, b, tx, ty = similarity(wobbled(rng), marks)
        # Mizar takes whole numbers for pixels' middles, PIL for their corners.
        moved = (tx + 0.5 - 0.5 * (a - b), ty + 0.5 - 0.5 * (b + a))
        aligned = picture.transform((SIDE, SIDE), Image.AFFINE, (a, -b, moved[0], b, a, moved[1]), Image.BILINEAR)
        aligned = np.asarray(aligned)
        return aligned[:, ::-1] if rng.random() < 0.5 else aligned
