"""Pictures with people in them for the detector, put together on the fly from the rendered figures and scenes."""

import json

import numpy as np
from PIL import Image

from damage import camera, light


class Scenes:
    def __init__(self, folder, held_out=10):
        self.scenes = np.memmap(f"{folder}/scenes.bin", np.uint8, "r").reshape(-1, 1080, 1920, 3)
        self.figures = json.load(open(f"{folder}/figures.json"))
        self.pixels = np.memmap(f"{folder}/figures.bin", np.uint8, "r")
        at = 0
        for f in self.figures:
            f["offset"] = at
            at += f["width"] * f["height"] * 4
        self.ranges = {"train": (0, len(self.figures) - 100), "check": (len(self.figures) - 100, len(self.figures))}
        self.scene_ranges = {"train": (0, len(self.scenes) - held_out), "check": (len(self.scenes) - held_out, len(self.scenes))}

    def figure(self, i):
        f = self.figures[i]
        end = f["offset"] + f["width"] * f["height"] * 4
        return f, Image.fromarray(np.asarray(self.pixels[f["offset"] : end]).reshape(f["height"], f["width"], 4), "RGBA")

    def background(self, rng, side, part):
        kind = rng.random()
        if kind < 0.08:
            a, b = rng.uniform(0, 255, (2, 3))
            ramp = np.linspace(0, 1, side, dtype=np.float32)[:, None, None]
            return np.broadcast_to(a * (1 - ramp) + b * ramp, (side, side, 3)).astype(np.uint8)
        if kind < 0.13:
            small = rng.integers(0, 255, (int(rng.integers(3, 40)),) * 2 + (3,), dtype=np.uint8)
            return np.asarray(Image.fromarray(small).resize((side, side), Image.BICUBIC))
        scene = self.scenes[rng.integers(*self.scene_ranges[part])]
        # One half is how 1080p is shown; others are photos, other cameras and the second, closer look.
        scale = 0.5 if rng.random() < 0.5 else float(np.exp(rng.uniform(np.log(0.24), np.log(2.5))))
        cut = min(1080, int(side / scale))
        x, y = rng.integers(0, 1920 - cut + 1), rng.integers(0, 1080 - cut + 1)
        return np.asarray(Image.fromarray(np.ascontiguousarray(scene[y : y + cut, x : x + cut])).resize((side, side), Image.BOX if cut > side else Image.BILINEAR))

    def closer_look(self, rng, side, part="train"):
        """One face in the middle of a small picture, often enlarged: how Mizar looks a second time at every face for its landmarks."""
        smaller = int(side * rng.uniform(0.4, 1.1))
        pixels, faces, ignored = self.sample(rng, smaller, part, look=True)
        return np.asarray(Image.fromarray(pixels).resize((side, side), Image.BILINEAR)), faces * np.float32(side / smaller), ignored

    def sample(self, rng, side, part="train", look=False):
        """Pixels [side, side, 3], faces [n, 14] (box x, y, width, height and landmarks) and whether each is to be ignored."""
        canvas = Image.fromarray(self.background(rng, side, part))
        kind = rng.random()
        close = look or kind < 0.18
        count = 1 if close else int(rng.integers(0, 2)) if kind < 0.42 else int(rng.integers(1, 7))
        faces, ignored, covers = [], [], []
        if close:
            sizes = [side * (rng.uniform(0.3, 0.52) if look else rng.uniform(0.38, 0.62))]
        elif count == 1 and rng.random() < 0.5:
            sizes = [rng.uniform(100, 330) if rng.random() < 0.5 else np.exp(rng.uniform(np.log(300), np.log(900)))]
        else:
            sizes = np.exp(rng.uniform(np.log(10), np.log(90 if count > 2 else 200), count))
        for size in sorted(sizes):
            f, picture = self.figure(int(rng.integers(*self.ranges[part])))
            scale = float(size) / f["box"][2] if f["face"] else float(size) / (44 if f["full"] else 128)
            if f["full"] and scale > 1.3:
                scale = float(rng.uniform(0.25, 1.2))
            w, h = max(4, round(f["width"] * scale)), max(4, round(f["height"] * scale))
            sx, sy = w / f["width"], h / f["height"]
            box = np.array(f["box"]) * [sx, sy, sx, sy]
            marks = np.array(f["marks"]) * ([sx, sy] * 5)
            if close:
                x, y = side / 2 - box[0] - box[2] / 2, side / 2 - box[1] - box[3] / 2
                x, y = x + rng.normal(0, side * 0.04), y + rng.normal(0, side * 0.04)
            else:
                x, y = rng.uniform(0, side) - box[0] - box[2] / 2, rng.uniform(0, side) - box[1] - box[3] / 2
            x, y = int(round(x)), int(round(y))
            # Only what will be seen is resized.
            x0, y0, x1, y1 = max(0, x), max(0, y), min(side, x + w), min(side, y + h)
            if x1 - x0 < 2 or y1 - y0 < 2:
                continue
            source = ((x0 - x) / sx, (y0 - y) / sy, (x1 - x) / sx, (y1 - y) / sy)
            source = (source[0], source[1], min(f["width"], source[2]), min(f["height"], source[3]))
            shown = picture.resize((x1 - x0, y1 - y0), Image.BILINEAR, box=source)
            canvas.paste(shown, (x0, y0), shown)
            box += [x, y, 0, 0]
            marks += [x, y] * 5
            # Who stands in front hides who was there.
            solid = np.asarray(shown.getchannel("A"))
            for i, old in enumerate(faces):
                ox, oy = max(0, int(old[0]) - x0), max(0, int(old[1]) - y0)
                part_hidden = solid[oy : max(0, int(old[1] + old[3]) - y0), ox : max(0, int(old[0] + old[2]) - x0)]
                covers[i] += part_hidden.sum(dtype=np.float64) / 255 / (old[2] * old[3])
            if not f["face"]:
                continue
            inside = max(0, min(side, box[0] + box[2]) - max(0, box[0])) * max(0, min(side, box[1] + box[3]) - max(0, box[1]))
            faces.append(np.concatenate([box, marks]))
            ignored.append(inside / (box[2] * box[3]) < 0.55)
            covers.append(0.0)
        pixels = np.asarray(camera(rng, Image.fromarray(light(rng, np.asarray(canvas)))), np.uint8)
        if not look and rng.random() < 0.1:
            pixels = pixels.copy()
            edge = int(rng.integers(side // 2, side))
            pixels[edge:] = 0
            ignored = [i or f[1] + f[3] > edge for i, f in zip(ignored, faces)]
        faces = np.array(faces, np.float32).reshape(-1, 14)
        ignored = np.array([i or c > 0.35 for i, c in zip(ignored, covers)], bool)
        if rng.random() < 0.5:
            pixels, faces = mirror(pixels, faces, side)
        return pixels, faces, ignored


def mirror(pixels, faces, side):
    faces = faces.copy()
    faces[:, 0] = side - faces[:, 0] - faces[:, 2]
    faces[:, 4::2] = side - faces[:, 4::2]
    order = [4 + v for k in (1, 0, 2, 4, 3) for v in (2 * k, 2 * k + 1)]
    faces[:, 4:] = faces[:, order]
    return np.ascontiguousarray(pixels[:, ::-1]), faces
