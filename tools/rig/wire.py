# SPDX-License-Identifier: BSD-2-Clause
"""A wire between emulators: Ethernet frames in, frames out, with faults from a seed, and a capture.

    with Wire(folder, loss=5, seed=1) as wire:
        Host("amd", nic=wire.end(), ...)
        Host("intel", nic=wire.end(), ...)

All ends are on one hub: a frame goes to every other end. QEMU's ends are unix datagram sockets (-netdev dgram);
Bochs's are what its bxhub speaks: Bochs receives on a UDP port of 127.0.0.1 and sends to the port above it. It takes one
frame in each of its milliseconds, so what comes faster waits here and not in its socket, where the kernel would drop it.
Faults can be changed while it runs. tools/wire is the same by hand.
"""
import collections
import heapq
import itertools
import os
import random
import select
import socket
import struct
import threading
import time
from pathlib import Path

FRAME_MAX = 65536
QUEUE_MAX = 4096  # frames under way; more are lost, as in a switch
UDP_WAITING_MAX = 65536  # bytes of the kernel's, of which a frame takes more than it has; it drops above 212,992
_PCAP_ETHERNET = 1


class Pcap:
    """A capture in libpcap's format: what was handed to the wire, before its faults."""

    def __init__(self, path):
        self.file = open(path, "wb")
        self.file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, FRAME_MAX, _PCAP_ETHERNET))

    def write(self, frame):
        now = time.time()
        self.file.write(struct.pack("<IIII", int(now), int(now % 1 * 1e6), len(frame), len(frame)) + frame)

    def close(self):
        self.file.close()


class End:
    """One end; the other side is described by qemu(), bochs() or hca()."""

    def __init__(self, number, folder, seed):
        self.number = number
        self.random = random.Random(f"{seed}/{number}")
        self.mac = f"52:54:00:fe:00:{number:02x}"
        self.folder = Path(folder)
        self.socket = self.peer = None
        self.waiting = collections.deque()  # for an emulator that is slow, in their order
        self.sent = self.lost = self.doubled = self.reordered = 0

    def room(self):
        """Frames that may be handed over now: a unix socket says itself when it is full, a UDP one drops."""
        if isinstance(self.peer, str):
            return QUEUE_MAX
        return 16 if _udp_bytes_waiting(self.peer[1]) < UDP_WAITING_MAX else 0

    def hits(self, *per_cent):
        """Which faults a frame from here has. The same seed gives the n-th frame of an end the same ones."""
        return [self.random.random() * 100 < p for p in per_cent]

    def _open(self):
        """The paths of this side's socket and of the other's. They are the same if an emulator is started again."""
        ours, theirs = (str(self.folder / f"wire-{self.number}-{side}") for side in "ab")
        if self.socket:
            Path(theirs).unlink(missing_ok=True)
            return ours, theirs
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(ours)
        self.peer = theirs
        return ours, theirs

    def hca(self):
        """Arguments for the HCA model."""
        ours, theirs = self._open()
        return ["--wire", f"{theirs},{ours}", "--mac", self.mac]

    def qemu(self, model="e1000"):
        """Arguments for QEMU. romfile: firmware must not try to boot from it."""
        ours, theirs = self._open()
        return ["-netdev", f"dgram,id=wire{self.number},local.type=unix,local.path={theirs},"
                           f"remote.type=unix,remote.path={ours}",
                "-device", f"{model},netdev=wire{self.number},mac={self.mac},romfile="]

    def bochs(self):
        """The line for a bochsrc."""
        if not self.socket:
            self.socket, port = _port_pair()
            self.peer = ("127.0.0.1", port)
        port = self.peer[1]
        return f"e1000: enabled=1, mac={self.mac}, ethmod=socket, ethdev={port}, script=none"


def _udp_bytes_waiting(port):
    """What is in the receive queue of the socket on that port of 127.0.0.1."""
    local = f"0100007F:{port:04X}"
    with open("/proc/net/udp", encoding="ascii") as f:
        for line in f:
            words = line.split()
            if words[1] in (local, f"00000000:{port:04X}"):
                return int(words[4].split(":")[1], 16)
    return 0


def _port_pair():
    """A socket on the upper of two neighbouring free UDP ports, and the lower one's number."""
    while True:
        port = random.SystemRandom().randrange(20000, 60000, 2)
        upper, lower = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        try:
            upper.bind(("127.0.0.1", port + 1))
            lower.bind(("127.0.0.1", port))
            return upper, port
        except OSError:
            upper.close()
        finally:
            lower.close()


class Wire:
    def __init__(self, folder, loss=0, double=0, reorder=0, delay=0, seed=1, pcap=None):
        """loss, double and reorder in per cent of the frames, delay in ms."""
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.loss, self.double, self.reorder, self.delay = loss, double, reorder, delay
        self.seed = seed
        self.pcap = Pcap(pcap) if pcap else None
        self.ends, self.queue, self.order = [], [], itertools.count()
        self.injected = collections.deque()
        self.running = True
        self.wake_read, self.wake_write = os.pipe()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def end(self):
        """A new end, to be handed to a Host as nic=."""
        e = End(len(self.ends) + 1, self.folder, self.seed)
        self.ends.append(e)
        return e

    def refresh(self):
        """After an end got its socket."""
        os.write(self.wake_write, b"x")

    def inject(self, to, frame):
        """Hands a frame to one end, as if somebody else on the wire had sent it; without faults."""
        self.injected.append((to, frame))
        if len(self.injected) == 1:
            self.refresh()

    def close(self):
        self.running = False
        self.refresh()
        self.thread.join(5)
        for e in self.ends:
            if e.socket:
                e.socket.close()
        if self.pcap:
            self.pcap.close()

    # --- the thread ----------------------------------------------------------------------------

    def _run(self):
        while self.running:
            sockets = {e.socket: e for e in self.ends if e.socket}
            timeout = 0.05
            if self.queue:
                timeout = max(0, min(timeout, self.queue[0][0] - time.monotonic()))
            if any(e.waiting for e in self.ends):
                timeout = min(timeout, 0.001)
            ready, _, _ = select.select([*sockets, self.wake_read], [], [], timeout)
            for s in ready:
                if s == self.wake_read:
                    os.read(s, 64)
                else:
                    self._take(sockets[s])
            while self.injected and len(self.queue) < QUEUE_MAX:
                heapq.heappush(self.queue, (0, next(self.order), *self.injected.popleft()))
            self._deliver()

    def _take(self, source):
        for _ in range(64):
            try:
                frame = source.socket.recv(FRAME_MAX, socket.MSG_DONTWAIT)
            except OSError:
                return
            source.sent += 1
            if self.pcap:
                self.pcap.write(frame)
            for to in self.ends:
                if to is not source and to.socket:
                    self._carry(source, to, frame)

    def _carry(self, source, to, frame):
        loss, double, reorder = source.hits(self.loss, self.double, self.reorder)
        if loss or len(self.queue) >= QUEUE_MAX:
            source.lost += 1
            return
        due = time.monotonic() + self.delay / 1000
        if reorder:
            source.reordered += 1
            due += 0.002 + self.delay / 1000  # behind those that follow
        heapq.heappush(self.queue, (due, next(self.order), to, frame))
        if double:
            source.doubled += 1
            heapq.heappush(self.queue, (due, next(self.order), to, frame))

    def _deliver(self):
        now = time.monotonic()
        while self.queue and self.queue[0][0] <= now:
            _, _, to, frame = heapq.heappop(self.queue)
            if len(to.waiting) < QUEUE_MAX:
                to.waiting.append(frame)
        for e in self.ends:
            self._hand_over(e)

    @staticmethod
    def _hand_over(to):
        room = to.room() if to.waiting else 0
        while to.waiting and room > 0:
            room -= 1
            try:
                to.socket.sendto(to.waiting[0], socket.MSG_DONTWAIT, to.peer)
            except BlockingIOError:  # again in a moment
                return
            except OSError:  # nobody is there yet, or any more
                pass
            to.waiting.popleft()

    def counters(self):
        return [{"end": e.number, "sent": e.sent, "lost": e.lost, "doubled": e.doubled,
                 "reordered": e.reordered} for e in self.ends]
