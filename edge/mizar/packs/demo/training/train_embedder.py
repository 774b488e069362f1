"""Trains the embedder: train_embedder.py <rendered folder> <work folder> [minutes]. Goes on from its checkpoint."""

import math
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import torch

from embedder_data import Faces
from embedder_model import Embedder, Margin, pairs_loss

PEOPLE, LEARNING_RATE, MARGIN, SEED = 48, 3e-3, 0.3, 21
BRAIN_FLOATS = os.environ.get("BRAIN_FLOATS", "1") == "1"


def to_input(pictures):
    x = torch.from_numpy(np.asarray(pictures)).permute(0, 3, 1, 2).float()
    return (x / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def prepare(folder):
    """In the process that draws batches ahead of the one that learns."""
    global faces, pictures
    faces = Faces(folder)
    pictures = [np.nonzero(faces.person == p)[0] for p in range(faces.people)]


def batch_of(step):
    rng = np.random.default_rng((SEED, step))
    # Two pictures of each of some people; neighbours are often look-alikes, so they come together.
    first = rng.choice(faces.people // 2, PEOPLE // 2, replace=False) * 2 + step % 2
    people = np.concatenate([first, (first + 1) % faces.people])
    chosen = np.concatenate([rng.choice(pictures[p], 2, replace=False) for p in people])
    return np.stack([faces.sample(rng, i) for i in chosen]), faces.person[chosen]


def main(folder, work, minutes=40.0):
    torch.set_num_threads(int(os.environ.get("THREADS", "1")))
    torch.manual_seed(SEED)
    data = Faces(folder)
    model, average = Embedder().to(memory_format=torch.channels_last), Embedder()
    margin = Margin(data.people)
    print("parameters", sum(p.numel() for p in model.parameters()), "people", data.people, flush=True)
    groups = [{"params": [*model.parameters()], "weight_decay": 0.02}, {"params": [*margin.parameters()], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE)
    path, step, spent = f"{work}/embedder.pt", 0, 0.0
    average.load_state_dict(model.state_dict())
    if os.path.exists(path):
        saved = torch.load(path)
        for thing, name in ((model, "model"), (average, "average"), (margin, "margin"), (optimizer, "optimizer")):
            thing.load_state_dict(saved[name])
        step, spent = saved["step"], saved["spent"]
    began, budget = time.time() - spent, minutes * 60
    model.train()
    mean = {}
    drawing = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=prepare, initargs=(folder,))
    ahead = drawing.submit(batch_of, step)
    while True:
        done = (time.time() - began) / budget
        if done >= 1:
            break
        rate = LEARNING_RATE * min(1, (step + 1) / 200) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))
        for group in optimizer.param_groups:
            group["lr"] = rate
        shown, person = ahead.result()
        ahead = drawing.submit(batch_of, step + 1)
        x, person = to_input(shown), torch.from_numpy(person)
        with torch.autocast("cpu", torch.bfloat16, enabled=BRAIN_FLOATS):
            embedding = model(x)
        # The lead grows: asked for at once, nothing would be learnt.
        unit = torch.nn.functional.normalize(embedding.float())
        lead = MARGIN * min(1.0, done / 0.4)
        centred, right = margin(unit, person, lead)
        paired = pairs_loss(unit, 0.5 * lead)
        loss = centred * min(1.0, done / 0.1) + paired
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        keep = min(0.996, (step + 1) / (step + 20))
        with torch.no_grad():
            for a, b in zip(average.state_dict().values(), model.state_dict().values()):
                a.copy_(a * keep + b * (1 - keep)) if a.dtype.is_floating_point else a.copy_(b)
        step += 1
        for name, value in (("centred", centred), ("paired", paired), ("right", right)):
            mean[name] = mean.get(name, float(value.detach())) * 0.98 + float(value.detach()) * 0.02
        if step % 50 == 0:
            print(step, f"{done:.3f}", {k: round(v, 3) for k, v in mean.items()}, f"{(time.time() - began) / step:.2f} s/step", flush=True)
        if step % 500 == 0:
            print("check", check(average, data), flush=True)
        if step % 200 == 0:
            save(path, model, average, margin, optimizer, step, time.time() - began)
    drawing.shutdown(cancel_futures=True)
    save(path, model, average, margin, optimizer, step, time.time() - began)
    print("check", check(average, data), flush=True)


@torch.no_grad()
def check(model, data):
    """People left out of the training: how many same pairs lie above all but one in a thousand, and ten thousand, different ones."""
    model.eval()
    rng = np.random.default_rng(5)
    e = torch.cat([model(to_input([data.sample(rng, i) for i in part])) for part in np.array_split(data.check, 10)])
    e = torch.nn.functional.normalize(e).numpy()
    cosine, same = e @ e.T, data.person[data.check][:, None] == data.person[data.check][None]
    upper = np.triu(np.ones_like(same), 1).astype(bool)
    right, wrong = cosine[upper & same], np.sort(cosine[upper & ~same])
    out = {f"tar@{rate}": round(float((right > wrong[-max(1, int(len(wrong) * rate))]).mean()), 4) for rate in (1e-3, 1e-4)}
    return {**out, "same": round(float(np.median(right)), 3), "different": round(float(np.median(wrong)), 3)}


def save(path, model, average, margin, optimizer, step, spent):
    parts = {"model": model, "average": average, "margin": margin, "optimizer": optimizer}
    torch.save({**{k: v.state_dict() for k, v in parts.items()}, "step": step, "spent": spent}, path + ".new")
    os.replace(path + ".new", path)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]) if len(sys.argv) > 3 else 40.0)
