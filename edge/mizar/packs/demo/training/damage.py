"""What cameras do to pictures: light, colour, blur, noise, small sizes, compression."""

import io

import numpy as np
from PIL import Image, ImageFilter


def light(rng, pixels):
    """Exposure, contrast, gamma, a cast of colour, and a shadow or a lamp to one side. Bytes in and out, RGB."""
    if rng.random() < 0.8:
        # One table for each channel: powers of every pixel would cost more than all the rest.
        x = (np.arange(256, dtype=np.float32) / 255) ** float(np.exp(rng.normal(0, 0.28)))
        x = (x - 0.5) * float(np.exp(rng.normal(-0.05, 0.2))) + 0.5 + float(rng.normal(0, 0.07))
        tables = np.clip(x[:, None] * np.exp(rng.normal(0, 0.06, 3)), 0, 1) * 255
        pixels = np.stack([tables[:, c].astype(np.uint8)[pixels[..., c]] for c in range(3)], -1)
    if rng.random() < 0.2:
        grey = pixels.mean(axis=2, keepdims=True, dtype=np.float32)
        pixels = (grey + (pixels - grey) * np.float32(rng.uniform(0, 0.8))).astype(np.uint8)
    if rng.random() < 0.3:
        h, w = pixels.shape[:2]
        angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 0.9)
        ramp = 1 + strength * (
            (np.arange(w, dtype=np.float32) / w - 0.5) * np.cos(angle) + ((np.arange(h, dtype=np.float32) / h - 0.5) * np.sin(angle))[:, None]
        )
        pixels = np.clip(pixels * ramp.astype(np.float32)[..., None], 0, 255).astype(np.uint8)
    return pixels


def camera(rng, picture, worst=28, shake=1.1):
    """Blur, noise and compression at the size the camera sees; `worst` is the lowest quality, `shake` the widest blur. Takes and gives a PIL picture."""
    if rng.random() < 0.3:
        picture = picture.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, shake))))
    if rng.random() < 0.35:
        x = np.asarray(picture, np.float32)
        noise = rng.standard_normal(x.shape[:2] + (1,), dtype=np.float32) * float(rng.uniform(1, 8))
        picture = Image.fromarray(np.clip(x + noise, 0, 255).astype(np.uint8))
    if rng.random() < 0.75:
        # H.264's blocks at a camera's rates look much like JPEG's at these qualities, chroma halved in both.
        data = io.BytesIO()
        picture.save(data, "JPEG", quality=int(rng.integers(worst, 95)), subsampling=2)
        picture = Image.open(data)
        picture.load()
    return picture
