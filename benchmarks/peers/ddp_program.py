"""The DDP script that one would write: `python -m benchmarks.peers.ddp_program DATA EPOCHS BATCH`.

LeNet on MNIST as tensors in memory, in as many processes as torchrun starts, which share each
batch. It takes turns with others, and prints its examples a second, the first epoch left out.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch.nn.parallel import DistributedDataParallel

from benchmarks.networks import network, optimiser, standardised
from benchmarks.turns import Turn

data, epochs, batch = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
size, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
torch.manual_seed(0)
images, labels = standardised(data)
model = network("lenet")
update = optimiser("lenet", model)
if size > 1:
    dist.init_process_group("gloo")
    model = DistributedDataParallel(model)
turn = Turn()
if not rank:  # the others wait for its gradients
    turn.wait()
away, began = 0.0, 0.0
for epoch in range(epochs):
    if epoch == 1:
        away, began = 0.0, time.perf_counter()
    losses = []
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(epoch))
    for places in order.split(batch):
        own = places.tensor_split(size)[rank]
        update.zero_grad()
        loss = F.cross_entropy(model(images[own]), labels[own])
        loss.backward()
        update.step()
        losses.append(loss.detach())
        if not rank:
            away += turn.spent()
    torch.stack(losses).mean().item()
if not rank:
    seconds = time.perf_counter() - began - away
    print(json.dumps({"speed": len(images) * (epochs - 1) / seconds}))
if size > 1:
    dist.barrier()  # who leaves first may break off what another is at
    dist.destroy_process_group()
    sys.stdout.flush()
    os._exit(0)  # now and then torch's destructors end a process by SIGABRT
