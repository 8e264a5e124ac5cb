# SPDX-License-Identifier: BSD-2-Clause
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools/rig"))
from emulator import BUILD  # noqa: E402
from host import Host  # noqa: E402

BARE = BUILD / "guests/bare"
CLOUD = BUILD / "guests/cloud/vmlinuz"
GENERIC = BUILD / "guests/generic/vmlinuz"
INITRD = BUILD / "guests/initrd.gz"


def pytest_addoption(parser):
    parser.addoption("--soak", action="store_true", help="also run what is long or repeated")
    parser.addoption("--kind", choices=["amd", "intel"], help="only hosts of this kind")


def pytest_configure(config):
    config.addinivalue_line("markers", "soak: long or repeated; runs in make soak")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--soak"):
        return
    items[:] = [i for i in items if not i.get_closest_marker("soak")]


def pytest_generate_tests(metafunc):
    if "kind" in metafunc.fixturenames:
        only = metafunc.config.getoption("--kind")
        metafunc.parametrize("kind", [only] if only else ["amd", "intel"], scope="session")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """The one host of all tests speaks where a test failed; others do so when they end (Host.__exit__)."""
    report = (yield).get_result()
    if report.failed and call.when == "call" and "host" in item.funcargs:
        report.sections.append(("what the host says", item.funcargs["host"].testimony()))


def guest_files():
    files = {p.name: p for p in sorted(BARE.glob("*.elf"))}
    files.update({"vmlinuz": CLOUD, "initrd.gz": INITRD})
    return files


@pytest.fixture(scope="session")
def host(kind):
    """One host of each kind for all tests that need nothing special; each cleans up its VMs."""
    with Host(kind, files=guest_files()) as h:
        yield h
        assert h.emulator.process.poll() is None, "the host died"


@pytest.fixture
def patience(kind, request):
    """For what takes minutes under Bochs and is not about the CPU."""
    if kind == "intel" and not request.config.getoption("--soak"):
        pytest.skip("takes minutes under Bochs: it runs there in make soak")


@pytest.fixture
def make_vm(host):
    """Makes VMs that end with the test."""
    made = []

    def make(name, kernel, **settings):
        host.create(name, kernel, **settings)
        made.append(name)
        return name

    yield make
    for name in made:
        host.destroy(name)
