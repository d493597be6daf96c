"""A small PyTorch program for `benchmarks.pytorch_program`: one linear layer."""

import argparse
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
import torch

parser = argparse.ArgumentParser()
for name in ("--data-dir", "--dropout", "--lr"):
    parser.add_argument(name)
for name in ("--bn", "--dense", "--batch-size", "--epochs", "--seed"):
    parser.add_argument(name, type=int)
parser.add_argument("--channels-last", action="store_true")
a = parser.parse_args()
torch.manual_seed(a.seed)


class Model(torch.nn.Module):
    """Takes the means of 8x8 squares, and records the size, mode and layout of each batch."""

    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(48, 10)
        self.seen = []

    def forward(self, x):
        self.seen.append((len(x), self.training, x.is_contiguous(memory_format=torch.channels_last)))
        return self.fc(torch.nn.functional.avg_pool2d(x, 8).flatten(1))


source: Any = tfds.data_source("cifar10", split="train", data_dir=a.data_dir)
images = np.stack([row["image"] for row in source.__getitems__(list(range(len(source))))])
model = Model()
tx = torch.optim.Adam(model.parameters(), lr=float(a.lr), weight_decay=3e-4)
