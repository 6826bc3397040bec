#!/usr/bin/env python3
"""memory.py PID FILE: copies what a process can write of its memory. Needs the rights of root: it is not dumpable."""
import re
import sys

with open(f"/proc/{sys.argv[1]}/maps") as maps, open(f"/proc/{sys.argv[1]}/mem", "rb", 0) as memory, open(sys.argv[2], "wb") as copy:
    for line in maps:
        start, end, rights = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", line).groups()
        # The rest is code, and what is mapped of files.
        if rights.startswith("rw"):
            memory.seek(int(start, 16))
            try:
                copy.write(memory.read(int(end, 16) - int(start, 16)))
            except OSError:
                # It is gone since.
                continue
