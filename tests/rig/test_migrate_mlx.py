# SPDX-License-Identifier: BSD-2-Clause
"""VMs move between two hosts with mlx5 cards: Ferry's own driver, on the model of a card (tools/hca), which refuses what a
driver must not do."""
import re

import pytest

from conftest import guest_files
from host import wait_until
from pair import drained, is_well, migrate, pair, start


@pytest.fixture
def hosts(tmp_path):
    with pair("amd", tmp_path, guest_files(), cards=True) as (a, b, wire):
        for host in (a, b):
            assert re.search(r"^device +mlx0", host.run("rdma"), re.M)
        yield a, b, wire
        for host in (a, b):
            assert host.options["card"].refusals() == []


def there_and_back(a, b):
    for source, target, name in ((a, b, "beta"), (b, a, "alpha")):
        migrate(source, "mover", name)
        is_well(target, "mover")
        drained(target)


def test_a_vm_moves_there_and_back_by_the_cards(hosts):
    a, b, _ = hosts
    start(a, "mover")
    there_and_back(a, b)


def test_a_vm_moves_there_and_back_where_one_frame_of_a_hundred_is_lost(hosts):
    a, b, wire = hosts
    start(a, "mover")
    wire.loss = 1
    there_and_back(a, b)


@pytest.mark.parametrize("dies", ["alpha", "beta"])
def test_a_guest_whose_card_dies_in_mid_migration_goes_on_at_the_source(hosts, dies):
    a, b, wire = hosts
    start(a, "mover", memory="64M")
    wire.delay = 20
    a.line.send("migrate mover to beta\r")
    a.expect(r"copying +round", 60)
    (a if dies == "alpha" else b).options["card"].fault("internal-error")
    a.expect("aborted", 120)
    a.expect(a.prompt)
    wire.delay = 0
    (a if dies == "alpha" else b).wait_log("mlx0 failed", 30)
    is_well(a, "mover")
    # beta may have to find out by itself that the link is down
    wait_until(lambda: "no VM named" in b.run("vm info mover"), 60, lambda: b.run("vm info mover"))
