"""The agent's life: parked until an identity comes in, then at its service, then parked again or gone."""

import os
from pathlib import Path

import zmq
from loguru import logger

import tzar_agent
from tzar_agent.home import Home
from tzar_agent.service import Service
from tzar_agent.stop import StopSignal
from tzar_agent.wakeup import Mailbox

__all__ = ["run_agent"]

PARKED_POLL_S = 0.05


def run_agent(folder: Path) -> int:
    """Runs an agent in `folder` until it is told to end.

    Args:
        folder: the agent's home.

    Returns:
        The exit code.
    """
    home = Home(folder)
    logger.remove()
    logger.add(home.log, level="INFO", rotation="2 MB", retention=3, encoding="utf-8", backtrace=False)
    mailbox = Mailbox()
    stop = StopSignal(mailbox)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    logger.info("agent {} parked in {}, pid {}", tzar_agent.__version__, home.folder, os.getpid())
    try:
        while not stop.is_wanted:
            identity = home.take_identity()
            if identity is None:
                mailbox.wait(PARKED_POLL_S)
                mailbox.drain()
            elif Service(home, identity, context, mailbox, stop).run():
                return 0
        logger.info("told to end while parked")
        return 0
    finally:
        context.term()
        mailbox.close()
