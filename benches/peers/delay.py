# Delays every packet between processes of this network namespace that goes to 192.0.2.0/24.
#
# Arguments: seconds. A tun device takes what is sent to the network and gives it back after that time. Ready when
# it prints a line. For kernels without netem.

import collections
import fcntl
import os
import select
import struct
import subprocess
import sys
import time

DELAY = float(sys.argv[1])
NETWORK = "192.0.2.0/24"
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 1, 0x1000

tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", b"delay", IFF_TUN | IFF_NO_PI))
for line in [
    "link set delay up mtu 65535 txqueuelen 10000",
    f"route add {NETWORK} dev delay table 100",
    # What comes out of the device is for us; what we send goes into it, before the table of local addresses.
    "rule add pref 1 iif delay lookup local",
    f"rule add pref 2 iif lo to {NETWORK} lookup 100",
    "rule add pref 10 lookup local",
    "rule del pref 0",
]:
    subprocess.run(["ip", *line.split()], check=True)
for name, value in [("delay/accept_local", 1), ("delay/rp_filter", 0), ("all/rp_filter", 0)]:
    with open(f"/proc/sys/net/ipv4/conf/{name}", "w") as file:
        file.write(str(value))
print("ready", flush=True)

waiting = collections.deque()
while True:
    due = max(0, waiting[0][0] - time.monotonic()) if waiting else None
    readable, _, _ = select.select([tun], [], [], due)
    now = time.monotonic()
    if readable:
        try:
            while True:
                waiting.append((now + DELAY, os.read(tun, 65600)))
        except BlockingIOError:
            pass
    while waiting and waiting[0][0] <= now:
        os.write(tun, waiting.popleft()[1])
