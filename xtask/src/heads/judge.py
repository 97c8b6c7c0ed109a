"""What h11 says of each head that comes on standard input: its length in four octets, little end first, and then itself."""

import struct
import sys

import h11


def judge(octets):
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(octets)
    try:
        event = connection.next_event()
    except h11.RemoteProtocolError as error:
        return f"refused: {error}"
    if not isinstance(event, h11.Request):
        return "goes on"
    # It has decided by then how it is going to read, and tells nobody else.
    reader = connection._reader
    length = getattr(reader, "_length", None)
    framing = "chunked" if type(reader).__name__ == "ChunkedReader" else str(length or 0)
    fields = [name + b"=" + value for name, value in event.headers]
    said = [event.method, event.target, *fields]
    head = len(octets) - len(connection.trailing_data[0])
    return " ".join(["taken:", str(head), framing, *(part.hex() for part in said)])


while header := sys.stdin.buffer.read(4):
    (length,) = struct.unpack("<I", header)
    print(judge(sys.stdin.buffer.read(length)), flush=True)
