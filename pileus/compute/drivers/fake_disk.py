"""Disk images without content, written byte by byte: what a snapshot of a fake guest is made of.

The file is a real one that any reader of its format accepts; every read of it gives zeros.
"""

import os
import struct
from pathlib import Path

_CLUSTER_BITS = 16
_CLUSTER = 1 << _CLUSTER_BITS
_TABLE_REACH = _CLUSTER * (_CLUSTER // 8)  # bytes that one second-level table maps: 512 MiB


def write_blank_image(path: Path, *, format: str, size_bytes: int) -> int:
    """Write a sparse image of zeros, whole or not at all; `format` is "qcow2" or "raw". Returns the file's bytes."""
    partial = path.with_name(path.name + ".partial")
    fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        if format == "qcow2":
            _write_qcow2(fd, size_bytes)
        else:
            os.ftruncate(fd, size_bytes)
        length = os.fstat(fd).st_size
    finally:
        os.close(fd)
    partial.rename(path)
    return length


def _write_qcow2(fd: int, size_bytes: int) -> None:
    """Clusters: header, reference table, one reference block, then the first-level table."""
    entries = -(-size_bytes // _TABLE_REACH)
    table_clusters = max(1, -(-entries * 8 // _CLUSTER))
    used = 3 + table_clusters
    os.pwrite(fd, _header(size_bytes, entries), 0)
    os.pwrite(fd, struct.pack(">Q", 2 * _CLUSTER), _CLUSTER)
    os.pwrite(fd, struct.pack(f">{used}H", *[1] * used), 2 * _CLUSTER)
    os.ftruncate(fd, used * _CLUSTER)


def _header(size_bytes: int, entries: int) -> bytes:
    return struct.pack(
        ">4sIQIIQIIQQIIQQQQII",
        b"QFI\xfb",
        3,  # version
        0,  # no backing file
        0,
        _CLUSTER_BITS,
        size_bytes,
        0,  # not encrypted
        entries,
        3 * _CLUSTER,  # first-level table
        _CLUSTER,  # reference table
        1,
        0,  # no snapshots
        0,
        0,  # incompatible, compatible, automatically cleared features
        0,
        0,
        4,  # reference counts of 16 bits
        104,  # length of this header
    )
