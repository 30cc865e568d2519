#!/usr/bin/env python3
"""A SIP endpoint over UDP whose media find their way by aioice: it says back what it hears.

    aioice_agent.py ADDRESS:PORT answer          takes one call, and waits for its end
    aioice_agent.py ADDRESS:PORT call URI S      calls, and hangs up after S seconds

What happens is told in lines of JSON.
"""
import asyncio
import json
import random
import re
import sys

import aioice


def tell(event, **data):
    print(json.dumps({"event": event, **data}), flush=True)


def token():
    return "%016x" % random.getrandbits(64)


def fields(text):
    head, _, body = text.partition("\r\n\r\n")
    lines = head.split("\r\n")
    found = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        found.setdefault(name.strip().lower(), []).append(value.strip())
    return lines[0], found, body


class Media:
    """Two components; the credentials and candidates of both ends go through descriptions."""

    def __init__(self, is_controlling):
        self.ice = aioice.Connection(ice_controlling=is_controlling, components=2, use_ipv6=False)
        self.heard = 0

    async def describe(self, address):
        if not self.ice.local_candidates:
            await self.ice.gather_candidates()
        rtp, rtcp = (self.ice.get_default_candidate(number) for number in (1, 2))
        lines = [
            "v=0", f"o=- 1 1 IN IP4 {address}", "s=-", f"c=IN IP4 {rtp.host}", "t=0 0",
            f"m=audio {rtp.port} RTP/AVP 0", "a=rtpmap:0 PCMU/8000", "a=sendrecv",
            f"a=rtcp:{rtcp.port} IN IP4 {rtcp.host}",
            f"a=ice-ufrag:{self.ice.local_username}", f"a=ice-pwd:{self.ice.local_password}",
        ]
        lines += [f"a=candidate:{known.to_sdp()}" for known in self.ice.local_candidates]
        return "\r\n".join(lines) + "\r\n"

    async def take(self, description):
        said = lambda name: re.search(rf"^a={name}:(.*?)\r?$", description, re.M).group(1)
        self.ice.remote_username, self.ice.remote_password = said("ice-ufrag"), said("ice-pwd")
        for line in re.findall(r"^a=candidate:(.*?)\r?$", description, re.M):
            await self.ice.add_remote_candidate(aioice.Candidate.from_sdp(line))
        await self.ice.add_remote_candidate(None)

    async def run(self):
        """Says back what it hears, for as long as there is anything."""
        try:
            await self.ice.connect()
        except ConnectionError as error:
            return tell("failed", reason=str(error))
        pairs = {}
        for number, pair in self.ice._nominated.items():
            kinds = (pair.local_candidate.type, pair.remote_candidate.type)
            pairs[number] = {
                "local": "%s:%d" % pair.local_addr, "remote": "%s:%d" % pair.remote_addr,
                "local_type": kinds[0], "remote_type": kinds[1],
            }
        tell("completed", pairs=pairs)
        source = random.getrandbits(32).to_bytes(4, "big")
        while True:
            data, component = await self.ice.recvfrom()
            if component == 1 and len(data) > 12:
                self.heard += 1
                await self.ice.sendto(data[:8] + source + data[12:], 1)


class Endpoint(asyncio.DatagramProtocol):
    def __init__(self, address):
        self.address, self.tag, self.media = address, token(), None
        self.over, self.responses = asyncio.Event(), asyncio.Queue()
        self.answered = None

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, source):
        first, headers, body = fields(data.decode(errors="replace"))
        if first.startswith("SIP/2.0"):
            self.responses.put_nowait((int(first.split(" ")[1]), headers, body))
        elif first.strip():
            asyncio.ensure_future(self.asked(first.split(" ")[0], headers, body, source))

    async def asked(self, method, headers, body, source):
        if method == "INVITE":
            if self.media is None:
                self.media = Media(False)
                await self.media.take(body)
                self.answered = await self.media.describe(self.address.split(":")[0])
                asyncio.ensure_future(self.media.run())
            self.respond("200 OK", headers, source, self.answered)
        elif method != "ACK":
            self.respond("200 OK", headers, source, "")
        if method == "BYE":
            self.over.set()

    def respond(self, status, headers, source, body):
        lines = [f"SIP/2.0 {status}"]
        for name in ("via", "record-route", "from", "call-id", "cseq"):
            lines += [f"{name}: {value}" for value in headers.get(name, [])]
        to = headers["to"][0]
        lines.append(f"to: {to}" if "tag=" in to else f"to: {to};tag={self.tag}")
        self.send(lines, body, source)

    def send(self, lines, body, to):
        lines = lines + [f"contact: <sip:echo@{self.address}>"]
        if body:
            lines.append("content-type: application/sdp")
        lines.append(f"content-length: {len(body)}")
        self.transport.sendto(("\r\n".join(lines) + "\r\n\r\n" + body).encode(), to)

    async def call(self, uri, seconds):
        self.media = Media(True)
        body = await self.media.describe(self.address.split(":")[0])
        host, port = uri.rsplit("@", 1)[1].split(":")
        target, call = (host, int(port)), token()
        request = lambda method, number, remote: [
            f"{method} {uri} SIP/2.0",
            f"via: SIP/2.0/UDP {self.address};branch=z9hG4bK{token()};rport",
            "max-forwards: 70",
            f"from: <sip:echo@{self.address}>;tag={self.tag}",
            f"to: {remote}",
            f"call-id: {call}",
            f"cseq: {number} {method}",
        ]
        self.send(request("INVITE", 1, f"<{uri}>"), body, target)
        code, headers, answer = 0, {}, ""
        while code < 200:
            code, headers, answer = await self.responses.get()
        remote = headers["to"][0]
        self.send(request("ACK", 1, remote), "", target)
        if code >= 300:
            return tell("failed", reason=f"{code}")
        await self.media.take(answer)
        asyncio.ensure_future(self.media.run())
        await asyncio.sleep(seconds)
        self.send(request("BYE", 2, remote), "", target)
        await self.responses.get()


async def main():
    host, port = sys.argv[1].split(":")
    loop = asyncio.get_running_loop()
    _, endpoint = await loop.create_datagram_endpoint(
        lambda: Endpoint(sys.argv[1]), local_addr=(host, int(port)))
    tell("listening")
    if sys.argv[2] == "answer":
        await endpoint.over.wait()
        # The response to BYE may still be on its way.
        await asyncio.sleep(0.2)
    else:
        await endpoint.call(sys.argv[3], float(sys.argv[4]))
    tell("over", heard=endpoint.media.heard if endpoint.media else 0)


asyncio.run(main())
