#!/usr/bin/env python3
"""Runs a program on a terminal of its own, and types what it is told to.

terminal.py DIALOGUE PROGRAM ARGUMENT...

DIALOGUE is JSON: a list of pairs, words to wait for on the terminal, and what is typed then. What the
terminal shows goes to stdout; the last line says whether it shows what is typed. It exits as the program does.
"""
import fcntl
import json
import os
import select
import subprocess
import sys
import termios
import time

DEADLINE = time.monotonic() + 60
dialogue = json.loads(sys.argv[1])
outside, inside = os.openpty()
program = subprocess.Popen(
    sys.argv[2:], stdin=inside, stdout=inside, stderr=inside, start_new_session=True,
    preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
shown, seen = b"", 0


def read():
    """Whatever is there within a moment."""
    global shown
    if not select.select([outside], [], [], 0.05)[0]:
        return False
    shown += os.read(outside, 65536)
    return True


for words, answer in dialogue:
    while (place := shown.find(words.encode(), seen)) < 0:
        read()
        if program.poll() is not None or time.monotonic() > DEADLINE:
            sys.exit(f"`{words}` was not shown:\n{shown.decode()}")
    seen = place + len(words.encode())
    os.write(outside, answer.encode())
while program.poll() is None:
    read()
    if time.monotonic() > DEADLINE:
        program.kill()
        sys.exit(f"it did not end:\n{shown.decode()}")
while read():
    pass
echo = termios.tcgetattr(inside)[3] & termios.ECHO
sys.stdout.write(shown.decode().replace("\r\n", "\n"))
print("[typing is shown]" if echo else "[typing is not shown]")
sys.exit(program.returncode if program.returncode >= 0 else 128 - program.returncode)
