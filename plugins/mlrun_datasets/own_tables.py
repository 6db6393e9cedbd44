"""The data set `csv`: its options. What reads the files is imported when it is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from mlrun import ImageData, MlrunError


def csv(
    root: Path,
    *,
    train: str,
    validation: str | None = None,
    test: str | None = None,
    header: bool = True,
    label: str | None = None,
    classes: tuple[str, ...] = (),
    num_classes: int | None = None,
    pixels: str | None = None,
    height: int | None = None,
    width: int | None = None,
    channels: Literal[1, 3] | None = None,
    layout: Literal["chw", "hwc"] = "chw",
    path_column: str | None = None,
    size: int | tuple[int, int] | None = 64,
    workers: int = 0,
    skip_unreadable: bool = False,
    cache: str | None = None,
    range: tuple[float, float] | None = None,
) -> ImageData:
    """Images from CSV files: a row for each image, its label and its pixels, or its file.

    Pixels are whole numbers 0–255, in the order of their columns; in all files the same
    columns. With `path_column` that column names image files, full paths or relative to the CSV
    file's folder, which are decoded as those of image-folder. Labels are numbers from 0 (gaps
    are kept: with labels 0, 1 and 3 there are 4 classes) or names. Source: the user's own files.
    Licence: theirs.

    Args:
        train: the file to train on: its full path, or its path in the data folder.
        validation: the file to validate on, likewise.
        test: the file to test on, likewise.
        header: the first row names the columns; if false, columns are named by number, from 1.
        label: the column with the labels; none: the column label, or the first without a header.
        classes: the name of each class; none: the labels themselves.
        num_classes: how many classes there are; none: the highest label + 1.
        pixels: what the names of the pixel columns begin with; none: all columns but the label.
        height: of the images, in pixels; none: from the width, or as they are square.
        width: of the images, in pixels; none: from the height, or as they are square.
        channels: 1 for grey, 3 for red, green and blue; none: 1, but 3 for image files.
        layout: chw if a row has one channel after another, hwc if one pixel after another.
        path_column: the column with the paths of image files; none: the rows hold the pixels.
        size: of image files: height and width, one number for both; none: as they are, all alike.
        workers: processes that decode image files; 0 for one a core.
        skip_unreadable: leave out, and name, image files that cannot be read.
        cache: folder for decoded image files; none: below MLRUN_HOME, or the system's cache.
        range: values that become 0 and 255 in image files of more than 8 bits; none: the lowest
            and highest of the training images.
    """
    from mlrun_datasets.csv_files import open_tables

    tables = open_tables(
        root, {"train": train, "validation": validation, "test": test}, header=header
    )
    if path_column is None:
        from mlrun_datasets.decoding_progress import LOG
        from mlrun_datasets.tables import Layout, load_csv

        if size != 64 or skip_unreadable:
            raise MlrunError(
                "--dataset.size and --dataset.skip-unreadable are for image files: name their "
                "column with --dataset.path-column, or give --dataset.height and --dataset.width"
            )
        if range is not None:
            LOG.warning("csv: --dataset.range changes nothing: it is for image files")
        shape = Layout(label, pixels, height, width, channels or 1, layout)
        return load_csv(tables, shape, classes=classes, num_classes=num_classes)

    from mlrun_datasets.image_cache import Decoding, load_images
    from mlrun_datasets.manifests import list_files

    if (pixels, height, width, layout) != (None, None, None, "chw"):
        raise MlrunError(
            "--dataset.pixels, height, width and layout are for rows of pixels; with "
            "--dataset.path-column give --dataset.size"
        )
    sides = (size, size) if isinstance(size, int) else size
    decoding = Decoding(sides, channels or 3, workers, skip_unreadable, cache, range)
    return load_images(list_files(tables, path_column, label, classes, num_classes), decoding)
