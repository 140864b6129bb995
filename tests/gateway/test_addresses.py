"""Where servers listen, and what is said where they cannot."""

import pytest
import zmq

from tzar_actors.errors import SupervisorError
from tzar_actors.gateway.addresses import bound, tcp

NOBODYS = "203.0.113.7"  # of a network that is for documents alone


@pytest.fixture
def socket():
    with zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
        yield socket


def test_an_address_that_this_machine_does_not_have_is_told_with_what_to_do(socket):
    with pytest.raises(SupervisorError, match=r"\[fleet\] listen .* none of this machine's.* tzar host init"):
        bound(lambda port: socket.bind(tcp(NOBODYS, port)), 5555, chosen=True)
