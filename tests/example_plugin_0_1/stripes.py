import mlrun


def stripes(root, *, count: int = 200, size: int = 16):
    """Horizontal and vertical stripes with noise, made on the spot.

    Args:
        count: images in each part.
        size: height and width in pixels.
    """
    import torch

    def part(seed):
        drawn = torch.Generator().manual_seed(seed)
        labels = torch.arange(count) % 2
        lines = (torch.arange(size) // 2 % 2 * 160).to(torch.uint8)
        flat, upright = lines[:, None].expand(size, size), lines.expand(size, size)
        images = torch.stack([upright if label else flat for label in labels])
        noise = torch.randint(0, 96, images.shape, generator=drawn).to(torch.uint8)
        return mlrun.Part((images + noise).unsqueeze(1), labels)

    return mlrun.ImageData(
        train=part(0), test=part(1), classes=("horizontal", "vertical"), source="made here"
    )


@mlrun.hookimpl
def register_datasets(register):
    register(stripes)
