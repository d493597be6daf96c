"""Another user, as far as files are concerned."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")


@contextmanager
def nobody() -> Iterator[None]:
    """Be a user without privileges, if the tests run as the superuser."""
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        os.setegid(65534)
        os.seteuid(65534)
    try:
        yield
    finally:
        if user == 0:
            os.seteuid(user)
            os.setegid(group)
