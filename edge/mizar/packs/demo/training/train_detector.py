"""
Trains the detector: train_detector.py <rendered folder> <work folder> [minutes] [minutes of closer looks].
Goes on from its checkpoint. The second part teaches mostly landmarks, on faces as Mizar's second look shows them.
"""

import math
import os
import sys
import time

import numpy as np
import torch
from torch.nn import functional as F

from detector_data import Scenes
from detector_model import STRIDES, Detector

SIDE, BATCH, LEARNING_RATE, SEED = 256, 16, 4e-3, 20
HUGE = 330
BRAIN_FLOATS = os.environ.get("BRAIN_FLOATS", "1") == "1"


def targets(faces, ignored, side):
    """For each stride the cells' class (1, 0, or -1 for no say) and the face each positive cell is to find."""
    out = []
    for level, stride in enumerate(STRIDES):
        n = side // stride
        cls, owner = np.zeros((n, n), np.int8), np.full((n, n), -1, np.int64)
        centres = (np.arange(n) + 0.5) * stride
        for i, face in enumerate(faces):
            x, y, w, h = face[:4]
            size = math.sqrt(w * h)
            inside = ((np.abs(centres - (y + h / 2)) < h / 2 + stride / 2)[:, None]) & ((np.abs(centres - (x + w / 2)) < w / 2 + stride / 2)[None])
            low, high = (0, 20, 64)[level], (32, 100, 1e9)[level]
            if ignored[i] and size < HUGE:
                cls[inside & (cls == 0)] = -1
                continue
            reach = min(max(0.3 * size, 0.51 * stride), 1.6 * stride)

            def within(r):
                return ((np.abs(centres - (y + h / 2)) < r)[:, None]) & ((np.abs(centres - (x + w / 2)) < r)[None])

            # Around a face's middle a second answer does no harm; elsewhere in it, an eye must not count as a face.
            doubtful = within(1.7 * reach)
            cls[doubtful & (cls == 0)] = -1
            # A portrait that fills the picture is found in the smaller views of a photo; here its parts are to stay silent.
            if low <= size < high and size < HUGE:
                near = within(reach)
                cls[near] = 1
                owner[near] = i
        out.append((cls, owner))
    return out


def batch_of(data, rng, part="train", side=SIDE, size=BATCH, look=False):
    images, cls, wanted = [], [[] for _ in STRIDES], [[] for _ in STRIDES]
    for _ in range(size):
        pixels, faces, ignored = (data.closer_look if look else data.sample)(rng, side, part)
        images.append(pixels)
        for k, (c, owner) in enumerate(targets(faces, ignored, side)):
            cls[k].append(c)
            wanted[k].append(faces[owner] if len(faces) else np.zeros(owner.shape + (14,), np.float32))
    x = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float()
    return x, [torch.from_numpy(np.stack(c)) for c in cls], [torch.from_numpy(np.stack(w)) for w in wanted]


def loss_of(maps, cls, wanted):
    total = {"cls": 0.0, "obj": 0.0, "box": 0.0, "kps": 0.0}
    positives = max(1, sum(int((c == 1).sum()) for c in cls))
    for m, c, w, stride in zip(maps, cls, wanted, STRIDES):
        m = m.permute(0, 2, 3, 1)
        counted = c >= 0
        target = (c == 1).float()
        p = m[..., 0].sigmoid()
        bce = F.binary_cross_entropy_with_logits(m[..., 0], target, reduction="none")
        weight = torch.where(target > 0, 0.5 * (1 - p) ** 1.5, 0.5 * p**1.5).detach() * 2
        total["cls"] = total["cls"] + (bce * weight)[counted].sum() / positives
        at = (c == 1).nonzero(as_tuple=True)
        objectness = torch.zeros_like(target)
        if len(at[0]):
            row, column = at[1].float(), at[2].float()
            out, face = m[at], w[at]
            cx, cy = (column + out[:, 2]) * stride, (row + out[:, 3]) * stride
            bw, bh = out[:, 4].clamp(-4, 6).exp() * stride, out[:, 5].clamp(-4, 6).exp() * stride
            iou, giou = overlap(cx - bw / 2, cy - bh / 2, bw, bh, face)
            total["box"] = total["box"] + (1 - giou).sum() / positives
            size = (face[:, 2] * face[:, 3]).sqrt()
            place = torch.stack([column, row], 1).repeat(1, 5)
            error = ((out[:, 6:] + place) * stride - face[:, 4:]) / size[:, None]
            total["kps"] = total["kps"] + F.smooth_l1_loss(error, torch.zeros_like(error), beta=0.01, reduction="none").mean(1).sum() / positives
            objectness[at] = iou.detach().clamp(0, 1) ** 0.5
        bce = F.binary_cross_entropy_with_logits(m[..., 1], objectness, reduction="none")
        p = m[..., 1].sigmoid()
        weight = ((p - objectness).abs() ** 1.5).detach()
        total["obj"] = total["obj"] + (bce * weight)[counted].sum() / positives
    return total["cls"] + total["obj"] + 2 * total["box"] + 25 * total["kps"], {k: float(v.detach()) for k, v in total.items()}


def overlap(x, y, w, h, face):
    fx, fy, fw, fh = face[:, 0], face[:, 1], face[:, 2], face[:, 3]
    iw = (torch.minimum(x + w, fx + fw) - torch.maximum(x, fx)).clamp(min=0)
    ih = (torch.minimum(y + h, fy + fh) - torch.maximum(y, fy)).clamp(min=0)
    union = w * h + fw * fh - iw * ih
    iou = iw * ih / union
    hull = (torch.maximum(x + w, fx + fw) - torch.minimum(x, fx)) * (torch.maximum(y + h, fy + fh) - torch.minimum(y, fy))
    return iou, iou - (hull - union) / hull


def main(folder, work, minutes=28.0, closer=14.0):
    torch.set_num_threads(int(os.environ.get("THREADS", "1")))
    torch.manual_seed(SEED)
    data, model = Scenes(folder), Detector().to(memory_format=torch.channels_last)
    average = Detector()
    print("parameters", sum(p.numel() for p in model.parameters()), flush=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=1e-3)
    path, step, spent = f"{work}/detector.pt", 0, 0.0
    if os.path.exists(path):
        saved = torch.load(path)
        model.load_state_dict(saved["model"]), optimizer.load_state_dict(saved["optimizer"]), average.load_state_dict(saved["average"])
        step, spent = saved["step"], saved["spent"]
    else:
        average.load_state_dict(model.state_dict())
    began, budget, closer_budget = time.time() - spent, minutes * 60, closer * 60
    model.train()
    sums = {}
    while True:
        # The rate falls with the time spent, so that a slow machine ends as calmly as a fast one.
        done = (time.time() - began) / budget
        rate = LEARNING_RATE * min(1, (step + 1) / 150) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1, done))))
        looking = done >= 1
        if looking:
            looked = (time.time() - began - budget) / max(1, closer_budget)
            if looked >= 1:
                break
            rate = LEARNING_RATE * 0.4 * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * looked)))
        for group in optimizer.param_groups:
            group["lr"] = rate
        rng = np.random.default_rng((SEED, step))
        # One step in four still shows whole scenes, or they would be forgotten.
        x, cls, wanted = batch_of(data, rng, side=128, size=32, look=True) if looking and step % 4 else batch_of(data, rng)
        # Brain floats halve the time where the processor knows them; the loss itself is computed in full.
        with torch.autocast("cpu", torch.bfloat16, enabled=BRAIN_FLOATS):
            maps = model(x.contiguous(memory_format=torch.channels_last))
        loss, parts = loss_of(maps, cls, wanted)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        keep = min(0.997, (step + 1) / (step + 20))
        with torch.no_grad():
            for a, b in zip(average.state_dict().values(), model.state_dict().values()):
                a.copy_(a * keep + b * (1 - keep)) if a.dtype.is_floating_point else a.copy_(b)
        step += 1
        for k, v in parts.items():
            sums[k] = sums.get(k, 0) * 0.98 + v * 0.02
        if step % 50 == 0:
            print(step, f"{done:.3f}", {k: round(v, 4) for k, v in sums.items()}, f"{(time.time() - began) / step:.2f} s/step", flush=True)
        if step % 200 == 0:
            save(path, model, average, optimizer, step, time.time() - began)
    save(path, model, average, optimizer, step, time.time() - began)


def save(path, model, average, optimizer, step, spent):
    state = {"model": model.state_dict(), "average": average.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "spent": spent}
    torch.save(state, path + ".new")
    os.replace(path + ".new", path)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *[float(v) for v in sys.argv[3:]])
