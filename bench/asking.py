"""Questions to the name server of the network namespace that this program is run in: how fast, how evenly.

`python -m bench.asking NAME SECONDS` prints the answers a second with a window of questions on their way, and
then the milliseconds of the 99th percentile of single questions. No import beyond the standard library: it is
run by `nsenter` beside a container's program.
"""

import socket
import struct
import sys
import time

SERVER = ("127.0.0.11", 53)
WINDOW = 32
SINGLE = 2000


def question(name: str) -> bytes:
    """A question for the IPv4 address of a name."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return struct.pack("!HHHHHH", 1, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", 1, 1)


def rate(sock: socket.socket, message: bytes, seconds: float) -> float:
    """Answers a second while `WINDOW` questions are on their way; one that is lost is asked again."""
    for _ in range(WINDOW):
        sock.send(message)
    answers, began = 0, time.perf_counter()
    while (now := time.perf_counter()) < began + seconds:
        try:
            sock.recv(512)
        except TimeoutError:
            sock.send(message)
            continue
        answers += 1
        sock.send(message)
    return answers / (now - began)


def percentile(sock: socket.socket, message: bytes) -> float:
    """Milliseconds within which 99 of 100 single questions are answered."""
    waits = []
    for _ in range(SINGLE):
        began = time.perf_counter()
        sock.send(message)
        sock.recv(512)
        waits.append(time.perf_counter() - began)
    return sorted(waits)[SINGLE * 99 // 100] * 1000


def main() -> None:
    """Measure and print."""
    message, seconds = question(sys.argv[1]), float(sys.argv[2])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.connect(SERVER)
        sock.send(message)
        answer = sock.recv(512)
        assert answer[3] & 0xF == 0, f"no such name: {answer!r}"
        assert answer[7] == 1, f"no address: {answer!r}"
        a_second = rate(sock, message, seconds)
        time.sleep(0.2)
        sock.setblocking(False)
        try:
            while sock.recv(512):
                pass
        except BlockingIOError:
            sock.settimeout(5)
        print(a_second, percentile(sock, message))


if __name__ == "__main__":
    main()
