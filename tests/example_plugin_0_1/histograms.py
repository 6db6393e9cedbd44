import mlrun


def histograms(view, *, bins: int = 40):
    """How the weights of each layer are distributed, by epoch.

    Args:
        bins: bars of each histogram.
    """
    from matplotlib.figure import Figure

    for name, parameter in view.model.named_parameters():
        if parameter.ndim < 2:
            continue
        figure = Figure(figsize=(4, 3))
        axes = figure.add_subplot()
        axes.hist(parameter.detach().cpu().flatten().numpy(), bins=bins)
        axes.set_title(f"{name}, epoch {view.epoch}")
        yield name, figure


@mlrun.hookimpl
def register_visualisers(register):
    register(histograms, when="epoch")
