"""A loop over a DataLoader, nothing logged: `python -m benchmarks.peers.loop_program DATA EPOCHS`.

torchvision's MNIST with its transforms for each image, as most tutorials have it.
"""

from __future__ import annotations

import json
import sys
import time

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import MNIST

from benchmarks.networks import MEAN, STD, network, optimiser

root, epochs = sys.argv[1], int(sys.argv[2])
change = transforms.Compose([transforms.ToTensor(), transforms.Normalize((MEAN,), (STD,))])
train = DataLoader(MNIST(root, transform=change), batch_size=64, shuffle=True)
val = DataLoader(MNIST(root, train=False, transform=change), batch_size=256)
model = network("perceptron")
update = optimiser("perceptron", model)
ends = []
for _ in range(epochs):
    model.train()
    losses, right = 0.0, 0
    for images, labels in train:
        update.zero_grad()
        logits = model(images)
        loss = F.cross_entropy(logits, labels)
        loss.backward()
        update.step()
        losses += loss.item() * len(labels)
        right += int((logits.argmax(1) == labels).sum())
    model.eval()
    with torch.inference_mode():
        for images, labels in val:
            logits = model(images)
            losses += F.cross_entropy(logits, labels).item()
            right += int((logits.argmax(1) == labels).sum())
    ends.append(time.perf_counter())
print(json.dumps({"epoch": (ends[-1] - ends[0]) / (epochs - 1)}))
