# SPDX-License-Identifier: BSD-2-Clause
"""Ferry's own driver of the card, on the HCA model: Linux judges the model (test_hca.py), the model judges the driver."""
import re

import pytest

from emulator import Card
from host import Host
from test_rdma import TRANSFERS, A, B, listen
from wire import Wire


@pytest.fixture
def wire(tmp_path):
    """For cards and NICs alike."""
    with Wire(tmp_path) as w:
        yield w


def host_with(card, wire, address, name="alpha"):
    return Host("amd", config=f"address {address}/24", name=name, nic=wire.end(), card=card, cpus=1)


def left(card):
    """What the model wrote when the host had gone."""
    m = re.search(r"disabled after (\d+) commands; (\d+) pages kept, (\d+) refusals", card.log.read_text())
    assert m, card.log.read_text()[-2000:]
    return int(m.group(1)), int(m.group(2)), int(m.group(3))


@pytest.mark.parametrize("command", ["poweroff", "reboot"])
def test_a_host_that_goes_off_has_every_page_back(command):
    card = Card()
    with Host("amd", config=f"address {A}/24", card=card) as host:
        assert re.search(r"15b3:1017 .* mlx$", host.run("pci"), re.M)
        assert re.search(r"mlx0: ConnectX-5, firmware 16\.35\.1, link up", host.log())
        host.line.send(command + "\r")
        host.emulator.process.wait(60)
    assert left(card)[1:] == (0, 0), card.refusals()


def transfer(host, to, operation, size, count, timeout=120):
    said = host.run(f"rdma bw {to} {operation} {size} {count}", timeout)
    assert re.search(rf"\d+ bytes in {count} messages, \S+ s, \S+ MB/s", said), said
    print(operation, size, count, said)


def test_two_hosts_reach_each_others_memory_by_their_cards(wire):
    cards = [Card(wire.end()), Card(wire.end())]
    with host_with(cards[0], wire, A) as a, host_with(cards[1], wire, B) as b:
        for host, card in ((a, cards[0]), (b, cards[1])):
            said = host.run("rdma")
            assert re.search(rf"^port +active, path MTU 1024, MAC {card.mac}", said, re.M), said
            assert re.search(r"^device +mlx0, ConnectX-5", said, re.M), said
        for client, server, address in ((a, b, B), (b, a, A)):
            listen(server)
            assert client.run(f"rdma ping {address}", timeout=60).count("64 bytes came back") == 4
            for t in TRANSFERS:
                transfer(client, address, *t)
            said = client.run(f"rdma verify {address}", timeout=300)
            assert re.search(r"\d+ right, 0 wrong", said), said
            assert "error" not in server.run("rdma listen stop").lower()
        for host, address in ((a, A), (b, B)):
            said = host.run("rdma info")
            assert re.search(rf"^GID +::ffff:{address} of RoCEv2", said, re.M), said
            assert re.search(r"^objects +0 queue pairs, 0 completion queues, 0 regions", said, re.M), said
            host.line.send("poweroff\r")
            host.emulator.process.wait(60)
    for card in cards:
        assert left(card)[1:] == (0, 0), card.refusals()


def ping(host, address):
    said = host.run(f"rdma ping {address}", timeout=90)
    assert said.count("64 bytes came back") == 4, said


def uses(host, device):
    return re.search(rf"^device +{device}\b", host.run("rdma"), re.M)


def test_cards_survive_a_wire_that_loses_doubles_and_reorders(wire):
    cards = [Card(wire.end()), Card(wire.end())]
    with host_with(cards[0], wire, A) as a, host_with(cards[1], wire, B) as b:
        listen(b)
        ping(a, B)
        wire.loss = wire.double = wire.reorder = 1
        for t in TRANSFERS:
            transfer(a, B, *t)
        said = a.run(f"rdma verify {B}", timeout=300)
        assert re.search(r"\d+ right, 0 wrong", said), said
        assert sum(c["lost"] for c in wire.counters()) > 0
        assert not cards[0].refusals() and not cards[1].refusals()


def test_a_card_and_soft_roce_reach_each_other(wire):
    card = Card(wire.end())
    with host_with(card, wire, A) as a, Host("amd", config=f"address {B}/24", nic=wire.end()) as b:
        assert uses(a, "mlx0") and uses(b, "roce0")
        for client, server, address in ((a, b, B), (b, a, A)):
            listen(server)
            said = client.run(f"rdma verify {address}", timeout=300)
            assert re.search(r"\d+ right, 0 wrong", said), said
        assert not card.refusals(), card.refusals()


def test_faults_of_a_card_end_in_a_sentence_and_a_reset_mends_them(wire):
    card, other = Card(wire.end(), options=["--fault", "page-request=40@20"]), Card(wire.end())
    with host_with(card, wire, A) as a, host_with(other, wire, B) as b:
        listen(b)
        ping(a, B)
        assert "asks for 40 pages" in card.log.read_text()
        card.fault("page-request=600")
        ping(a, B)

        card.fault("port-down")
        a.wait_log("mlx0: the link is down")
        assert uses(a, "roce0")
        card.fault("port-up")
        a.wait_log("mlx0: the link is up")
        ping(a, B)
        assert not card.refusals(), card.refusals()

        card.fault("command-timeout")
        assert "was not answered within 10 s" in " ".join(a.run(f"rdma ping {B}", timeout=60).split())
        assert re.search(r"^state +down: ", a.run("rdma info"), re.M)
        assert uses(a, "roce0")
        assert "mlx0 is up again, link up" in a.run("rdma reset", timeout=60)
        ping(a, B)

        card.fault("internal-error=7")
        a.wait_log("mlx0 failed: firmware asks for a reset")
        assert "syndrome 0x7" in a.run("rdma info")
        assert "mlx0 is up again, link up" in a.run("rdma reset", timeout=60)
        ping(a, B)
        assert not card.refusals(), card.refusals()
        a.line.send("poweroff\r")
        a.emulator.process.wait(60)
    assert left(card)[1:] == (0, 0), card.refusals()
