"""Writes a cpio archive of the "newc" kind, which the kernel unpacks as its first root file system
(Documentation/driver-api/early-userspace/buffer-format.rst). The same input gives the same bytes."""
import stat


class Archive:
    def __init__(self):
        self._parts = []
        self._inode = 0

    def add_folder(self, path, mode=0o755):
        self._add(path, stat.S_IFDIR | mode)

    def add_file(self, path, content, mode):
        self._add(path, stat.S_IFREG | mode, content=content)

    def add_device(self, path, major, minor, mode):
        self._add(path, stat.S_IFCHR | mode, device=(major, minor))

    def finish(self):
        self._add("TRAILER!!!", 0)
        return b"".join(self._parts)

    def _add(self, path, mode, content=b"", device=(0, 0)):
        self._inode += 1
        name = path.encode() + b"\0"
        # ino, mode, uid, gid, nlink, mtime, filesize, device of the file (2), device it is (2),
        # length of the name, checksum (unused)
        fields = (self._inode, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(name), 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
        self._parts += [_padded(head), _padded(content)]


def _padded(data):
    return data + b"\0" * (-len(data) % 4)
