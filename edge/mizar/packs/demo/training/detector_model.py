"""A small face detector with YuNet's twelve outputs."""

import torch
from torch import nn
from torch.nn import functional as F

STRIDES = (8, 16, 32)


def conv(cin, cout, stride=1, kernel=3, groups=1, relu=True):
    layers = [nn.Conv2d(cin, cout, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(cout)]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if relu else nn.Sequential(*layers)


class Separable(nn.Module):
    """Depthwise then pointwise, with a way round where the shapes allow."""

    def __init__(self, cin, cout, stride=1):
        super().__init__()
        self.body = nn.Sequential(conv(cin, cin, stride, groups=cin), conv(cin, cout, kernel=1, relu=False))
        self.skip = stride == 1 and cin == cout

    def forward(self, x):
        y = self.body(x)
        return F.relu(x + y if self.skip else y)


class Detector(nn.Module):
    def __init__(self, neck=48):
        super().__init__()
        self.stem = nn.Sequential(conv(3, 16, 2), Separable(16, 32, 2), Separable(32, 32))
        self.s8 = nn.Sequential(Separable(32, 64, 2), Separable(64, 64), Separable(64, 64))
        self.s16 = nn.Sequential(Separable(64, 96, 2), Separable(96, 96), Separable(96, 96))
        self.s32 = nn.Sequential(Separable(96, 128, 2), Separable(128, 128), Separable(128, 128))
        self.across = nn.ModuleList(conv(c, neck, kernel=1) for c in (64, 96, 128))
        self.smooth = nn.ModuleList(Separable(neck, neck) for _ in STRIDES)
        self.towers = nn.ModuleList(nn.Sequential(Separable(neck, neck), Separable(neck, neck)) for _ in STRIDES)
        # Class, objectness, box (4), landmarks (10).
        self.heads = nn.ModuleList(nn.Conv2d(neck, 16, 1) for _ in STRIDES)
        for head in self.heads:
            nn.init.normal_(head.weight, std=0.01)
            nn.init.zeros_(head.bias)
            head.bias.data[0] = -4.0
            head.bias.data[1] = -2.0

    def forward(self, x):
        """Raw outputs per stride, [batch, 16, rows, columns]. Pixels are 0 to 255."""
        x = self.stem(x * (1 / 64) - 2)
        a = self.s8(x)
        b = self.s16(a)
        c = self.s32(b)
        c = self.smooth[2](self.across[2](c))
        b = self.smooth[1](self.across[1](b) + F.interpolate(c, scale_factor=2.0, mode="nearest"))
        a = self.smooth[0](self.across[0](a) + F.interpolate(b, scale_factor=2.0, mode="nearest"))
        features = [tower(f) for tower, f in zip(self.towers, (a, b, c))]
        # Landmarks are told to fractions of a pixel: never in less than full floats.
        with torch.autocast("cpu", enabled=False):
            return [head(f.float()) for head, f in zip(self.heads, features)]


class Exported(nn.Module):
    """The same with YuNet's twelve tensors: cls, obj, bbox, kps, each for strides 8, 16, 32, cells in rows."""

    def __init__(self, detector):
        super().__init__()
        self.detector = detector

    def forward(self, x):
        maps = [m.permute(0, 2, 3, 1).flatten(1, 2) for m in self.detector(x)]
        cls = [m[..., 0:1].sigmoid() for m in maps]
        obj = [m[..., 1:2].sigmoid() for m in maps]
        return (*cls, *obj, *[m[..., 2:6] for m in maps], *[m[..., 6:16] for m in maps])


OUTPUT_NAMES = [f"{part}_{s}" for part in ("cls", "obj", "bbox", "kps") for s in STRIDES]
