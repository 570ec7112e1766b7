"""Writes a cpio archive in the kernel's "newc" format
(Documentation/driver-api/early-userspace/buffer-format.rst).

The same entries give the same bytes: no times, no owners, sorted names, inodes counted from 1.
"""

import stat


class Archive:
    """Entries of an initramfs, by their path in the guest without a leading slash."""

    def __init__(self):
        self.entries = {}

    def file(self, path, data, executable=False):
        self._add(path, stat.S_IFREG | (0o755 if executable else 0o644), data)

    def link(self, path, target):
        self._add(path, stat.S_IFLNK | 0o777, target.encode())

    def directory(self, path):
        self._add(path, stat.S_IFDIR | 0o755, b"")

    def _add(self, path, mode, data):
        path = path.strip("/")
        parent = path.rpartition("/")[0]
        if parent and parent not in self.entries:
            self.directory(parent)
        self.entries[path] = (mode, data)

    def bytes(self):
        records = [_record(path, mode, data, inode)
                   for inode, (path, (mode, data)) in enumerate(sorted(self.entries.items()), 1)]
        return b"".join([*records, _record("TRAILER!!!", 0, b"", 0)])


def _record(path, mode, data, inode):
    name = path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(mode) else 1
    # inode, mode, uid, gid, links, time, size, device (2), special device (2), name's size, checksum
    fields = (inode, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % f for f in fields) + name
    return _padded(head) + _padded(data)


def _padded(data):
    return data + bytes(-len(data) % 4)
