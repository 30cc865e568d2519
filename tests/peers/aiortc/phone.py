#!/usr/bin/env python3
"""A telephone of WebRTC: aiortc behind as much of SIP over UDP as one call takes.

usage: phone.py ADDRESS PORT SPEECH.wav HEARD.wav [sip:URI | lie]

Takes the first call, or makes one to URI, or takes one and lies about the last digit of its fingerprint; says SPEECH and keeps what it hears until the other side hangs up.
What it is told by aiortc stands on its lines.
"""
import asyncio
import re
import sys
import uuid
import wave

from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError
from av import AudioFrame

ADDRESS, PORT = sys.argv[1], int(sys.argv[2])
SPEECH, HEARD = sys.argv[3], sys.argv[4]
CRLF = "\r\n"


def say(text):
    print(text, flush=True)


class Message:
    """A request or a response, as far as one call needs it."""

    def __init__(self, data):
        head, _, self.body = data.decode().partition(CRLF * 2)
        self.first, *lines = head.split(CRLF)
        self.headers = [tuple(part.strip() for part in line.split(":", 1)) for line in lines]

    def all(self, name):
        return [value for known, value in self.headers if known.lower() == name.lower()]

    def one(self, name):
        return (self.all(name) or [""])[0]


class Phone(asyncio.DatagramProtocol):
    """One dialog."""

    def __init__(self):
        self.tag = uuid.uuid4().hex[:10]
        self.messages = asyncio.Queue()
        self.sent = {}

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, peer):
        # A request that is repeated gets what it got; keep-alives get nothing.
        if data in self.sent:
            self.transport.sendto(self.sent[data], peer)
        elif data.strip():
            self.messages.put_nowait((Message(data), data, peer))

    def answer(self, request, data, peer, status, sdp=""):
        lines = ["SIP/2.0 " + status]
        for name in ("Via", "From", "Call-ID", "CSeq"):
            lines += [f"{name}: {value}" for value in request.all(name)]
        to = request.one("To")
        lines.append(f"To: {to}" if ";tag=" in to else f"To: {to};tag={self.tag}")
        lines += self.ending(sdp)
        self.sent[data] = CRLF.join(lines).encode()
        self.transport.sendto(self.sent[data], peer)

    def ask(self, method, uri, peer, number, to, call_id, sdp=""):
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {ADDRESS}:{PORT};rport;branch=z9hG4bK{uuid.uuid4().hex}",
            "Max-Forwards: 70",
            f"From: <sip:webrtc@{ADDRESS}:{PORT}>;tag={self.tag}",
            f"To: {to}",
            f"Call-ID: {call_id}",
            f"CSeq: {number} {method}",
        ]
        self.transport.sendto(CRLF.join(lines + self.ending(sdp)).encode(), peer)

    @staticmethod
    def ending(sdp):
        lines = [f"Contact: <sip:webrtc@{ADDRESS}:{PORT}>"]
        if sdp:
            lines.append("Content-Type: application/sdp")
        return lines + [f"Content-Length: {len(sdp)}", "", sdp]


class Mouth(AudioStreamTrack):
    """Says the file once, in frames of 20 ms as they are: a player of FFmpeg makes it louder by 3 dB. The base class
    keeps the pace, by silence of the same form."""

    def __init__(self):
        super().__init__()
        with wave.open(SPEECH, "rb") as file:
            assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 8000)
            self.speech = file.readframes(file.getnframes())
        self.at = 0

    async def recv(self):
        frame = await super().recv()
        size = frame.samples * 2
        piece = self.speech[self.at : self.at + size].ljust(size, b"\0")
        self.at += size
        said = AudioFrame(format="s16", layout="mono", samples=frame.samples)
        said.planes[0].update(piece)
        said.pts, said.sample_rate, said.time_base = frame.pts, frame.sample_rate, frame.time_base
        return said


class Ear:
    """Keeps a track as it comes, in samples of 16 bits and one channel."""

    def __init__(self):
        self.track = self.task = None
        self.rate, self.heard = 8000, []

    def listen(self):
        self.task = asyncio.ensure_future(self.run())

    async def run(self):
        try:
            while True:
                frame = await self.track.recv()
                self.rate = frame.sample_rate
                channels = len(frame.layout.channels)
                self.heard.append(frame.to_ndarray().reshape(-1)[::channels].tobytes())
        except MediaStreamError:
            pass

    def stop(self):
        self.task.cancel()
        with wave.open(HEARD, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(self.rate)
            file.writeframes(b"".join(self.heard))


def media():
    """A connection that speaks, listens and tells."""
    connection, recorder = RTCPeerConnection(), Ear()
    connection.addTrack(Mouth())

    @connection.on("track")
    def on_track(track):
        recorder.track = track

    @connection.on("iceconnectionstatechange")
    def on_ice():
        say(f"iceConnectionState {connection.iceConnectionState}")

    @connection.on("connectionstatechange")
    def on_connection():
        say(f"connectionState {connection.connectionState}")
        if connection.connectionState == "connected":
            dtls = connection.getTransceivers()[0].sender.transport
            say(f"dtls {dtls._role}")

    return connection, recorder


def only_pcmu(sdp):
    """The description with PCMU alone, as its m-line says it."""
    kept = []
    for line in sdp.split(CRLF):
        number = re.match(r"a=(?:rtpmap|fmtp|rtcp-fb):(\d+)", line)
        if number and number[1] != "0":
            continue
        kept.append(re.sub(r"^(m=audio \d+ \S+) .*", r"\1 0", line))
    return CRLF.join(kept)


def readable(sdp, offer=""):
    """Our description as aiortc can read it: of a=rtcp it knows the long form only (RFC 3605, 2.1 has both), and it
    wants its a=mid back, which RFC 5888, 9.1 leaves to those who group."""
    sdp = re.sub(r"^a=rtcp:\d+\r\n", "", sdp, flags=re.M)
    mid = re.search(r"^a=mid:.*\r\n", offer, re.M)
    return sdp + mid[0] if mid else sdp


async def take(phone):
    request, data, peer = await phone.messages.get()
    assert request.first.startswith("INVITE "), request.first
    phone.answer(request, data, peer, "180 Ringing")
    connection, recorder = media()
    offer = request.body
    profile = re.search(r"^m=audio \d+ (\S+)", offer, re.M)[1]
    await connection.setRemoteDescription(RTCSessionDescription(readable(offer), "offer"))
    await connection.setLocalDescription(await connection.createAnswer())
    recorder.listen()
    answer = connection.localDescription.sdp
    # RFC 3264, 6: the profile is that of the offer, which aiortc takes for its own.
    answer = re.sub(r"^(m=audio \d+) \S+", rf"\1 {profile}", answer, flags=re.M)
    if sys.argv[5:] == ["lie"]:
        other = lambda digit: "1" if digit[2] == "0" else "0"
        answer = re.sub(r"^(a=fingerprint:.*)(.)(?=\r$)", lambda d: d[1] + other(d), answer, flags=re.M)
    phone.answer(request, data, peer, "200 OK", answer)
    return connection, recorder


async def call(phone, uri):
    host, port = re.search(r"@([\d.]+):(\d+)", uri).groups()
    peer, call_id = (host, int(port)), uuid.uuid4().hex
    connection, recorder = media()
    await connection.setLocalDescription(await connection.createOffer())
    offer = only_pcmu(connection.localDescription.sdp)
    phone.ask("INVITE", uri, peer, 1, f"<{uri}>", call_id, offer)
    while True:
        response, _, peer = await phone.messages.get()
        say(response.first)
        if not response.first.startswith("SIP/2.0 1"):
            break
    phone.ask("ACK", uri, peer, 1, response.one("To"), call_id)
    assert response.first.startswith("SIP/2.0 200"), response.first
    answer = readable(response.body, offer)
    await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    recorder.listen()
    return connection, recorder


async def main():
    loop = asyncio.get_running_loop()
    _, phone = await loop.create_datagram_endpoint(Phone, local_addr=(ADDRESS, PORT))
    say("ready")
    if sys.argv[5:] not in ([], ["lie"]):
        connection, recorder = await call(phone, sys.argv[5])
    else:
        connection, recorder = await take(phone)
    while True:
        message, data, peer = await phone.messages.get()
        if message.first.startswith("BYE "):
            phone.answer(message, data, peer, "200 OK")
            break
        if message.first.startswith(("INVITE ", "INFO ", "UPDATE ")):
            phone.answer(message, data, peer, "488 Not Acceptable Here")
    recorder.stop()
    await connection.close()
    say("over")


asyncio.run(main())
