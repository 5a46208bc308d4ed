"""Files of numbers: arrays and named values in, results out without ever leaving half a file."""

from gradcli.data.arrays import first_not_finite, standard, write_npz
from gradcli.data.files import decode, read_bytes, unreadable, write_atomically
from gradcli.data.reading import ARRAY_ENDINGS, Values, read_array, read_values

__all__ = [
    "ARRAY_ENDINGS",
    "Values",
    "decode",
    "first_not_finite",
    "read_array",
    "read_bytes",
    "read_values",
    "standard",
    "unreadable",
    "write_atomically",
    "write_npz",
]
