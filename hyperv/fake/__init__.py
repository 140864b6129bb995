"""A Hyper-V host that is none: it answers a lane's requests as PowerShell would, in memory, with local guests."""

from hyperv.fake.host import FakeHost

__all__ = ["FakeHost"]
