"""Aligned 112 x 112 face to 128 numbers; a small cousin of MobileFaceNet."""

import torch
from torch import nn
from torch.nn import functional as F


def conv(cin, cout, kernel=3, stride=1, groups=1, active=True):
    layers = [nn.Conv2d(cin, cout, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(cout)]
    # A learnt slope (PReLU) would take half of all the time on a processor.
    return nn.Sequential(*layers, nn.LeakyReLU(0.25, inplace=True)) if active else nn.Sequential(*layers)


class Bottleneck(nn.Module):
    def __init__(self, width, wide):
        super().__init__()
        self.body = nn.Sequential(conv(width, wide, 1), conv(wide, wide, groups=wide), conv(wide, width, 1, active=False))

    def forward(self, x):
        return x + self.body(x)


class Embedder(nn.Module):
    def __init__(self, dimension=128):
        super().__init__()
        # Full convolutions where the picture shrinks: on processors they cost little more than depthwise ones and learn faster.
        self.body = nn.Sequential(
            conv(3, 16, stride=2),
            conv(16, 32, stride=2),
            Bottleneck(32, 64),
            conv(32, 64, stride=2),
            Bottleneck(64, 128),
            Bottleneck(64, 128),
            conv(64, 128, stride=2),
            Bottleneck(128, 256),
            Bottleneck(128, 256),
            Bottleneck(128, 256),
            conv(128, 256, 1),
        )
        # Each place of the face has weights of its own, unlike a mean over all.
        self.places = nn.Sequential(nn.Conv2d(256, 256, 7, groups=256, bias=False), nn.BatchNorm2d(256))
        self.last = nn.Sequential(nn.Linear(256, dimension, bias=False), nn.BatchNorm1d(dimension))

    def forward(self, x):
        x = self.places(self.body(x)).flatten(1)
        return self.last(x)


class Margin(nn.Module):
    """CosFace: the cosine with the right person's centre must lead by `margin` over that with everybody else's."""

    def __init__(self, people, dimension=128, scale=32.0):
        super().__init__()
        self.centres = nn.Parameter(torch.randn(people, dimension) * 0.1)
        self.scale = scale

    def forward(self, embedding, person, margin):
        cosine = F.linear(embedding, F.normalize(self.centres))
        lead = torch.zeros_like(cosine).scatter_(1, person[:, None], margin)
        return F.cross_entropy(self.scale * (cosine - lead), person), (cosine.argmax(1) == person).float().mean()


def pairs_loss(embedding, margin, scale=20.0):
    """
    Rows 2i and 2i + 1 show one person, all others are strangers: each must find its pair. It teaches from the first step
    on, when the centres above still mean nothing.
    """
    n = len(embedding)
    cosine = embedding @ embedding.T
    partner = torch.arange(n) ^ 1
    lead = torch.zeros_like(cosine).scatter_(1, partner[:, None], margin)
    lead.fill_diagonal_(1e4)
    return F.cross_entropy(scale * (cosine - lead), partner)
