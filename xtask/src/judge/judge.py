"""What h11 says of each of the `heads` or `contents` that come on standard input: the length in four octets, little end first,
and then the octets."""

import struct
import sys

import h11


def reader_of(octets):
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(octets)
    return connection


def heads(octets):
    connection = reader_of(octets)
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


def contents(octets):
    """The content of each whole request, and how it ends."""
    connection = reader_of(octets)
    said = []
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                content = b""
            elif isinstance(event, h11.Data):
                content += event.data
            elif isinstance(event, h11.EndOfMessage):
                said.append(content.hex() or "-")
                connection.send(h11.Response(status_code=204, headers=[]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is not h11.DONE:
                    return " ".join([*said, "is the last"])
                connection.start_next_cycle()
            else:
                return " ".join([*said, "goes on"])
    except h11.RemoteProtocolError as error:
        return " ".join([*said, f"refused: {error}"])


judge = {"heads": heads, "contents": contents}[sys.argv[1]]
while header := sys.stdin.buffer.read(4):
    (length,) = struct.unpack("<I", header)
    print(judge(sys.stdin.buffer.read(length)), flush=True)
