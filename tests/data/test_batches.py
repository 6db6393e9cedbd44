"""Batches: every image once, in an order that comes from the seed, gathered on the device."""

from __future__ import annotations

import pytest
import torch
from parts import part, whole

from mlrun import Part
from mlrun.data import examples
from mlrun.data.batches import Batches, Batching
from mlrun.data.examples import ExampleStore
from mlrun.data.normalisation import Normalisation
from mlrun.data.splits import Selection

CPU = torch.device("cpu")


def make(given: Part, **settings: object) -> Batches:
    identity = Normalisation((0.0,), (1.0,))
    return Batches(ExampleStore.of(whole(given), identity, CPU), Batching(32, **settings))


def labels_of(found: Batches, epoch: int) -> list[int]:
    return [int(label) for _, labels in found.epoch(epoch) for label in labels]


def test_an_epoch_sees_every_image_once_with_its_label() -> None:
    given = part()
    found = make(given, shuffle=True, seed=3)
    pixels = {image.numpy().tobytes(): int(label) for image, label in zip(*given, strict=True)}
    seen = []
    for images, labels in found.epoch(1):
        for image, label in zip(images, labels, strict=True):
            raw = (image * 255).round().to(torch.uint8).numpy().tobytes()
            assert pixels[raw] == label
            seen.append(raw)
    assert len(set(seen)) == len(seen) == 100
    assert len(found) == 4


def test_the_order_comes_from_seed_and_epoch() -> None:
    one, same, other = (make(part(classes=3), shuffle=True, seed=s) for s in (1, 1, 2))
    assert labels_of(one, 1) == labels_of(same, 1)
    assert labels_of(one, 1) != labels_of(one, 2)
    assert labels_of(one, 1) != labels_of(other, 1)
    assert labels_of(make(part()), 1) == part().labels.tolist()


def test_a_short_last_batch_is_kept_or_dropped() -> None:
    kept, dropped = make(part()), make(part(), drop_last=True)
    assert [len(labels) for _, labels in kept.epoch(1)] == [32, 32, 32, 4]
    assert [len(labels) for _, labels in dropped.epoch(1)] == [32, 32, 32]
    assert (kept.examples, dropped.examples, len(dropped)) == (100, 96, 3)
    assert Batches(dropped.store, Batching(50)).examples == 100


def test_batches_are_gathered_from_the_data_set_s_own_tensor_or_a_copy_on_the_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = part()
    gathered = make(given, shuffle=True)
    monkeypatch.setattr(examples, "room_on", lambda device: 10**9)
    held = make(given, shuffle=True)
    assert gathered.store.source is given.images
    assert held.store.source is not given.images
    assert held.store.source.dtype == torch.uint8
    for (a, x), (b, y) in zip(gathered.epoch(1), held.epoch(1), strict=True):
        assert torch.equal(a, b)
        assert torch.equal(x, y)


def test_an_accelerator_that_does_not_say_what_is_free_keeps_what_is_small() -> None:
    assert examples.room_on(CPU) == 0
    assert examples.room_on(torch.device("mps")) == examples.DEFAULT_ROOM


def test_images_of_any_layout_in_memory_give_the_same_batches() -> None:
    given = part()
    last = given.images.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    assert not last.is_contiguous() or last.shape[1] == 1
    for (a, _), (b, _) in zip(
        make(given).epoch(1), make(Part(last, given.labels)).epoch(1), strict=True
    ):
        assert torch.equal(a, b)


def test_what_batches_hold_instead_of_images_comes_with_the_images_labels() -> None:
    given = make(part(), shuffle=True, drop_last=True)
    places = torch.arange(100.0)[:, None]
    for (images, labels), (held, same) in zip(
        given.epoch(3), given.holding(places).epoch(3), strict=True
    ):
        assert held.shape == (32, 1)
        assert torch.equal(given.gather(held[:, 0].long()), images)
        assert torch.equal(labels, same)


@pytest.mark.parametrize("room", [10**9, 0])
def test_batches_of_some_images_are_those_of_all_in_the_order_asked_for(
    room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examples, "room_on", lambda device: room)
    selection = Selection("train", torch.arange(99, 29, -1), *part())
    store = ExampleStore.of(selection, Normalisation((0.5,), (0.25,)), CPU)
    whole_part = Batches(store, Batching(2, shuffle=True))
    some = whole_part.only([5, 0, 69])
    images, labels = (torch.cat(parts) for parts in zip(*some.epoch(0), strict=True))
    assert labels.tolist() == part().labels[[94, 99, 30]].tolist()
    assert torch.equal(images, whole_part.gather(torch.tensor([5, 0, 69])))
    assert some.store.selection.indices.tolist() == [94, 99, 30]
    assert (len(whole_part), len(some)) == (35, 2)


def test_batches_made_of_others_share_their_examples_and_leave_them_as_they_are() -> None:
    given = make(part(), shuffle=True, drop_last=True, accumulate=2, change=lambda i, *_: i + 1)
    before = [images for images, _ in given.epoch(1)]
    changed = given.changed_by(lambda images, *_: images + 2)
    assert changed.store is given.store
    images = torch.cat([images for images, _ in changed.epoch(1)])
    assert torch.equal(images, given.gather(torch.arange(100)) + 2)
    assert given.only([1, 2]).batching == Batching(32)
    held = given.holding(torch.zeros(100, 3))
    assert held.batching is given.batching
    assert [len(features) for features, _ in held.epoch(1)] == [64, 32]
    after = [images for images, _ in given.epoch(1)]
    assert all(map(torch.equal, before, after))


def test_batches_are_changed_on_their_way_out_knowing_their_epoch_and_place() -> None:
    called = []

    def change(images: torch.Tensor, epoch: int, step: int, part: object) -> torch.Tensor:
        called.append((epoch, step, len(images)))
        return images + epoch + 10 * step

    plain, changed = make(part()), make(part(), change=change)
    for step, ((a, x), (b, y)) in enumerate(zip(plain.epoch(2), changed.epoch(2), strict=True)):
        assert torch.equal(a + 2 + 10 * step, b)
        assert torch.equal(x, y)
    assert called == [(2, 0, 32), (2, 1, 32), (2, 2, 32), (2, 3, 4)]
    (images, _), *_ = Batches(changed.store, Batching(100)).epoch(2)
    assert torch.equal(images, next(Batches(plain.store, Batching(100)).epoch(2))[0])
