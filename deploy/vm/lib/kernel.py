"""From a distribution's bzImage to the ELF image that QEMU starts directly (PVH), which skips the
kernel's own decompression: about 200 ms less under emulation.

Offsets of the boot header: Documentation/x86/boot.rst. ELF: elf(5)."""
import lzma
import shutil
import struct
import subprocess
import zlib

from failure import Failure

PT_LOAD, PT_INTERP, PT_NOTE = 1, 3, 4
XEN_ELFNOTE_PHYS32_ENTRY = 18  # the entry point that PVH uses (include/xen/interface/elfnote.h)
PAGE = 4096


def trimmed_vmlinux(tree):
    images = sorted((tree / "boot").glob("vmlinuz-*"))
    if len(images) != 1:
        raise Failure(f"the kernel package has {len(images)} images in /boot, not one")
    elf = _payload(images[0].read_bytes())
    if elf[:4] != b"\x7fELF":
        raise Failure(f"{images[0].name}: what it unpacks to is no ELF image")
    if not _has_pvh_entry(elf):
        raise Failure(f"{images[0].name}: has no PVH entry point (CONFIG_PVH)")
    return _trim(elf)


def has_interpreter(elf):
    return any(header["type"] == PT_INTERP for header in _program_headers(elf))


def _payload(image):
    if image[0x202:0x206] != b"HdrS":
        raise Failure("the kernel image is no bzImage")
    setup_sectors = image[0x1F1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    payload = image[start:start + length]
    if len(payload) != length or length < 16:
        raise Failure("the kernel image is cut short")
    size = struct.unpack_from("<I", payload, length - 4)[0]
    unpacked = _unpack(payload[:-4])
    if len(unpacked) != size:
        raise Failure(f"the kernel image unpacks to {len(unpacked)} bytes instead of {size}")
    return unpacked


def _unpack(payload):
    if payload.startswith(b"\x02\x21\x4c\x18"):
        return _filter(["lz4", "-d", "-c", "-q"], payload)
    if payload.startswith(b"\x28\xb5\x2f\xfd"):
        return _filter(["zstd", "-d", "-c", "-q"], payload)
    if payload.startswith(b"\xfd7zXZ\0"):
        return lzma.decompress(payload)
    if payload.startswith(b"\x1f\x8b"):
        return zlib.decompress(payload, wbits=31)
    raise Failure(f"the kernel image is compressed in an unknown way ({payload[:4].hex()})")


def _filter(command, data):
    if shutil.which(command[0]) is None:
        raise Failure(f"the kernel image needs {command[0]} to be unpacked: install the package {command[0]}")
    result = subprocess.run(command, input=data, capture_output=True)
    if result.returncode != 0:
        raise Failure(f"{command[0]}: {result.stderr.decode(errors='replace').strip()}")
    return result.stdout


def _program_headers(elf):
    if elf[4:6] != b"\x02\x01":
        raise Failure("not a little-endian 64-bit ELF file")
    offset, = struct.unpack_from("<Q", elf, 32)
    size, count = struct.unpack_from("<HH", elf, 54)
    names = ("type", "flags", "offset", "vaddr", "paddr", "filesz", "memsz", "align")
    return [dict(zip(names, struct.unpack_from("<IIQQQQQQ", elf, offset + i * size))) for i in range(count)]


def _has_pvh_entry(elf):
    for header in _program_headers(elf):
        if header["type"] != PT_NOTE:
            continue
        position, end = header["offset"], header["offset"] + header["filesz"]
        while position + 12 <= end:
            name_size, size, kind = struct.unpack_from("<III", elf, position)
            name = elf[position + 12:position + 12 + name_size]
            if name == b"Xen\0" and kind == XEN_ELFNOTE_PHYS32_ENTRY:
                return True
            position += 12 + (name_size + 3) // 4 * 4 + (size + 3) // 4 * 4
    return False


def _trim(elf):
    """Only what is loaded, without the zeros at the end of segments: a third less for QEMU to map."""
    headers = [header for header in _program_headers(elf) if header["type"] in (PT_LOAD, PT_NOTE)]
    start = 64 + 56 * len(headers)
    output = bytearray(start)
    for header in headers:
        content = elf[header["offset"]:header["offset"] + header["filesz"]]
        if header["type"] == PT_LOAD:
            content = content.rstrip(b"\0")
            output += b"\0" * (-len(output) % PAGE)
        else:
            output += b"\0" * (-len(output) % 8)
        header["offset"], header["filesz"] = len(output), len(content)
        output += content
    output[:64] = elf[:64]
    struct.pack_into("<QQ", output, 32, 64, 0)  # program headers follow, no sections
    struct.pack_into("<HHHHH", output, 54, 56, len(headers), 0, 0, 0)
    for i, header in enumerate(headers):
        struct.pack_into("<IIQQQQQQ", output, 64 + 56 * i, *header.values())
    return bytes(output)
