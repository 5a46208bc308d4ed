"""Files of numbers: arrays and named values in, results out without ever leaving half a file.

What reads files of values is in :mod:`gradcli.data.reading`, which most commands do not need.
"""

from gradcli.data.arrays import first_not_finite, is_ordinary, ordinary_rows, standard, write_npz
from gradcli.data.files import decode, opened, read_bytes, rewrite_program, unreadable, write_atomically

__all__ = [
    "decode",
    "first_not_finite",
    "is_ordinary",
    "opened",
    "ordinary_rows",
    "read_bytes",
    "rewrite_program",
    "standard",
    "unreadable",
    "write_atomically",
    "write_npz",
]
