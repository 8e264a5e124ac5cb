# SPDX-License-Identifier: BSD-2-Clause
"""Our RoCEv2 packets as others read them: tshark finds none malformed, scapy computes each ICRC."""
import subprocess
from pathlib import Path

import pytest
from scapy.contrib.roce import BTH
from scapy.layers.l2 import Ether
from scapy.utils import rdpcap

BUILD = Path(__file__).resolve().parents[2] / "build"
OPCODES = set(range(0x15))  # all of RC but SEND with invalidate, which Ferry does not offer


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    path = tmp_path_factory.mktemp("wire") / "roce.pcap"
    subprocess.run([BUILD / "wire/roce-capture", path], check=True, timeout=60)
    return path


def tshark(capture, *arguments):
    # RPC over RDMA takes any SEND for its own, and then finds it too short.
    return subprocess.run(["tshark", "-r", capture, "--disable-protocol", "rpcordma", *arguments], check=True, timeout=60,
                          capture_output=True, text=True).stdout


def test_tshark_finds_no_malformed_packet(capture):
    everything = tshark(capture, "-Y", "infiniband")
    assert everything.count("\n") == len(rdpcap(str(capture)))
    assert tshark(capture, "-Y", "_ws.malformed || ip.checksum.status == 0") == ""


def test_every_opcode_is_seen(capture):
    seen = tshark(capture, "-T", "fields", "-e", "infiniband.bth.opcode").split()
    assert {int(o, 0) for o in seen} == OPCODES


def test_scapy_computes_the_same_icrc(capture):
    for packet in rdpcap(str(capture)):
        wire = bytes(packet)
        again = Ether(wire)
        again[BTH].icrc = None
        assert bytes(again) == wire
