# SPDX-License-Identifier: BSD-2-Clause
"""What guests' memory shows, by the NPT page tables in an image of an AMD host's memory. Knows nothing of how Ferry shares."""
import collections
import hashlib
import mmap
import struct

PAGE = 4096
PRESENT, WRITE, LARGE = 1 << 0, 1 << 1, 1 << 7
ADDRESS = 0x000ffffffffff000
ZERO = bytes(PAGE)

# Pages: those that have memory of their own or share it (not the frame of zeros that untouched pages show);
# frames: different ones that show them; contents: different ones, zeros not counted.
Census = collections.namedtuple("Census", "pages frames contents")


def leaves(memory, table, level=4):
    """(frame, writable) of every page below a table (APM 2, 15.25)."""
    for entry in struct.unpack_from("<512Q", memory, table):
        if not entry & PRESENT:
            continue
        if level > 1 and not (level < 4 and entry & LARGE):
            yield from leaves(memory, entry & ADDRESS, level - 1)
            continue
        for i in range(512 ** (level - 1)):
            yield (entry & ADDRESS) + i * PAGE, bool(entry & WRITE)


def census(path, roots):
    """Memory below 2 GiB lies in the image where it lies in the host."""
    pages, frames, contents = 0, set(), set()
    with open(path, "rb") as f, mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ) as memory:
        digest = {}
        for root in roots:
            for frame, writable in leaves(memory, root):
                if frame not in digest:
                    content = memory[frame:frame + PAGE]
                    digest[frame] = None if content == ZERO else hashlib.blake2b(content, digest_size=16).digest()
                if digest[frame] is None and not writable:
                    continue
                pages += 1
                frames.add(frame)
                if digest[frame]:
                    contents.add(digest[frame])
    return Census(pages, len(frames), len(contents))
