"""Types of images that cannot be read, told by suffix or content, and what reads them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from PIL import Image


class Unread(NamedTuple):
    """A type of images: its name, Pillow's name of it if a decoder can be had, and what to do."""

    name: str
    format: str
    advice: str


CONVERT = "convert them to PNG or TIFF"
HEIC = Unread("HEIC", "HEIF", "pip install 'mlrun-vision[heif]' reads them")
AVIF = Unread("AVIF", "AVIF", "pip install -U pillow reads them")
JPEG_XL = Unread("JPEG XL", "JXL", "pip install pillow-jxl-plugin reads them")
RAW = Unread("camera raw", "", CONVERT)
SVG = Unread("SVG", "", "convert them to PNG")
DICOM = Unread("DICOM", "", "convert them to 16-bit PNG or TIFF")

SUFFIXES = {
    HEIC: "heic heics heif heifs hif",
    AVIF: "avif avifs",
    JPEG_XL: "jxl",
    RAW: "3fr arw cr2 cr3 crw dng erf iiq kdc mrw nef nrw orf pef raf raw rw2 rwl sr2 srf srw x3f",
    SVG: "svg svgz",
    DICOM: "dcm dicom",
    Unread("PSB", "", CONVERT): "psb",
    Unread("GIMP", "", CONVERT): "xcf",
    Unread("OpenEXR", "", "convert them to floating-point TIFF"): "exr",
    Unread("Radiance HDR", "", "convert them to floating-point TIFF"): "hdr",
    Unread("NIfTI", "", "convert them to 16-bit PNG or TIFF"): "nii",
    Unread("JPEG XR", "", CONVERT): "jxr wdp hdp",
    Unread("DjVu", "", CONVERT): "djvu djv",
    Unread("PostScript", "", CONVERT): "eps ps ai",
    Unread("PDF", "", CONVERT): "pdf",
    Unread("Windows metafile", "", CONVERT): "wmf emf",
}
BY_SUFFIX = {f".{suffix}": kind for kind, text in SUFFIXES.items() for suffix in text.split()}
BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"), HEIC),
    **dict.fromkeys((b"avif", b"avis"), AVIF),
    b"crx ": RAW,
}
STARTS = {b"\xff\x0a": JPEG_XL, b"\0\0\0\x0cJXL \r\n\x87\n": JPEG_XL, b"<svg": SVG}
HEAD = 132  # bytes


def unread_types(paths: Iterable[Path]) -> str:
    """Returns how many of the files are images of which unread types, and what reads them.

    `5 HEIC images (pip install 'mlrun-vision[heif]' reads them)`; nothing where there are none.
    """
    kinds = Counter(filter(None, map(unread_type, paths)))
    return ", ".join(
        f"{count:,} {kind.name} image{'s' if count > 1 else ''} ({kind.advice})"
        for kind, count in kinds.most_common()
    )


def unread_type(path: Path, *, inside: bool = False) -> Unread | None:
    """Returns the type of an image that cannot be read as things are, or None.

    It is told by the suffix; of a file without one by its first bytes, and with `inside` of any
    that the suffix does not tell.
    """
    kind = BY_SUFFIX.get(path.suffix.lower())
    if kind is None and (inside or not path.suffix):
        kind = type_of_content(path)
    return None if kind is None or kind.format in Image.OPEN else kind


def type_of_content(path: Path) -> Unread | None:
    """Returns the type that a file's first bytes tell, or None."""
    if not path.is_file():  # reading a pipe would wait
        return None
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError:
        return None
    if head[128:] == b"DICM":
        return DICOM
    if head[4:8] == b"ftyp":
        return BRANDS.get(head[8:12])
    return next((kind for start, kind in STARTS.items() if head.startswith(start)), None)
