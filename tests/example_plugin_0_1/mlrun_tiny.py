import mlrun


def tiny_cnn(shape, classes, *, width: int = 8, dropout: float = 0.0):
    """One convolution, average pooling to 2 × 2, one linear layer.

    Args:
        width: output channels of the convolution.
        dropout: the fraction dropped before the linear layer.
    """
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(shape[0], width, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(2),
        nn.Flatten(), nn.Dropout(dropout), nn.Linear(4 * width, classes),
    )


@mlrun.hookimpl
def register_models(register):
    register(tiny_cnn)
