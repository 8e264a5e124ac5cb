"""Ferry's own driver of the card, on the HCA model: Linux judges the model (test_hca.py), the model judges the driver."""
import re

import pytest

from emulator import Card
from host import Host

A = "10.0.0.1"


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
