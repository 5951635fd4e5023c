"""A mail server (aiosmtpd) that keeps each message in a folder for each of its recipients, and says on which port it listens.

With the argument "sendmail" and a port: what a system has as sendmail, called as `sendmail -i -f SENDER -- RECIPIENT...`.
"""

import os
import pathlib
import smtplib
import socket
import sys


class Keep:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.count = 0

    async def handle_DATA(self, server, session, envelope):
        self.count += 1
        for recipient in envelope.rcpt_tos:
            box = self.folder / recipient
            box.mkdir(exist_ok=True)
            (box / f"{self.count:04}.eml").write_bytes(envelope.content)
        return "250 kept"


def serve(folder):
    from aiosmtpd.controller import Controller

    controller = Controller(Keep(folder), hostname="127.0.0.1", port=free_port())
    controller.start()
    print(controller.port, flush=True)
    # Until whoever started it is gone.
    sys.stdin.read()
    os._exit(0)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def sendmail(port, words):
    assert words[:2] == ["-i", "-f"] and words[3] == "--" and words[4:], words
    # Lines come as this system ends them, and go as mail does.
    message = sys.stdin.buffer.read().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    with smtplib.SMTP("127.0.0.1", port) as connection:
        connection.sendmail(words[2], words[4:], message)


if sys.argv[1] == "serve":
    serve(sys.argv[2])
else:
    sendmail(int(sys.argv[2]), sys.argv[3:])
