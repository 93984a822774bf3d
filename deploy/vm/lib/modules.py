"""The kernel modules that a guest needs, each after those that it depends on.

The package has no modules.dep; what a module needs stands in its .modinfo section."""
import lzma
import pathlib
import subprocess
import tempfile

from failure import Failure

# Devices and file systems of every guest. What a kernel has built in is no module and is left out.
WANTED = """
virtio_mmio virtio_console virtio_blk virtio_net virtio_balloon
fuse erofs overlay
""".split()

# What pods bring along: iptables-nft and nft in init containers (service meshes, kube-router's
# kind of set-up), TUN devices of VPN sidecars, and bridges for containers inside of containers.
WANTED += """
tun bridge veth nf_tables nft_compat nft_chain_nat nft_ct nft_nat nft_masq nft_redir nft_reject_inet
xt_conntrack xt_nat xt_MASQUERADE xt_REDIRECT xt_tcpudp xt_multiport xt_owner xt_mark xt_connmark
xt_comment xt_addrtype ipt_REJECT ip6t_REJECT
""".split()


def collect(tree):
    """[(name, stripped content)] in the order to load them in."""
    found = {}
    for path in tree.glob("lib/modules/*/kernel/**/*.ko*"):
        found[path.name.split(".ko")[0].replace("-", "_")] = path
    built_in = _built_in(tree)
    ordered = {}

    def visit(name):
        if name in ordered or name in built_in:
            return
        if name not in found:
            raise Failure(f"the kernel package has no module {name}")
        content = _read(found[name])
        for dependency in _depends(content):
            visit(dependency)
        ordered[name] = _stripped(name, content)

    for name in WANTED:
        visit(name)
    return list(ordered.items())


def _built_in(tree):
    names = set()
    for listing in tree.glob("lib/modules/*/modules.builtin"):
        for line in listing.read_text().split():
            names.add(pathlib.PurePath(line).stem.replace("-", "_"))
    return names


def _read(path):
    if path.suffix == ".xz":
        return lzma.decompress(path.read_bytes())
    if path.suffix != ".ko":
        raise Failure(f"{path.name}: compressed in an unknown way")
    return path.read_bytes()


def _depends(content):
    """The entry "depends=a,b" of .modinfo, whose strings end with NUL."""
    start = content.find(b"\0depends=")
    if start < 0:
        start = content.find(b"depends=") - 1
        if start < -1:
            return []
    value = content[start + len(b"\0depends="):].split(b"\0", 1)[0].decode()
    return [name.replace("-", "_") for name in value.split(",") if name]


def _stripped(name, content):
    """Without debug information, type information and the signature, which the rest of it pays for
    in memory and time to load. The guest's kernel notes that the module is unsigned and takes it."""
    with tempfile.TemporaryDirectory(prefix="farlet-vm-") as scratch:
        source, target = (pathlib.Path(scratch) / suffix for suffix in ("in.ko", "out.ko"))
        source.write_bytes(content)
        command = ["objcopy", "--strip-debug", "--remove-section=.BTF", "--remove-section=.BTF.*"]
        result = subprocess.run([*command, str(source), str(target)], capture_output=True, text=True)
        if result.returncode != 0:
            raise Failure(f"strip module {name}: {result.stderr.strip()}")
        return target.read_bytes()
