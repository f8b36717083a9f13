#!/usr/bin/env python3
"""The whole way of two people through a warren, with the published Python SDK, unmodified.

    SSL_CERT_FILE=DIR/tls/ca.pem sdk_flow.py --directory HOST:PORT < identities.jsonl

Reads two freshly registered identities from standard input, one JSON object to a line, as
`warren identity register --json` prints them:

    {"identity": "@alice", "address": "localhost:25000", "activation_secret": "…"}

Each check prints `ok <name>`; the first failure prints `FAILED <name>: <reason>` and ends with exit
code 1. The last line of a good run is `all <n> checks passed`.
"""

import argparse
import json
import os
import queue
import sys
import tempfile
import threading
import time
from pathlib import Path

# The SDK decides where keys lie when it is imported: it gets a home of its own first.
_home = tempfile.TemporaryDirectory(prefix="sdk-flow-")
os.environ["HOME"] = _home.name

# Activation and sharing are also tested with the very scripts that README shows.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "docs" / "tour"))

from activate import activate  # noqa: E402
from share import share  # noqa: E402
from at_client.atclient import AtClient  # noqa: E402
from at_client.common import AtSign  # noqa: E402
from at_client.common.keys import PublicKey, SelfKey, SharedKey  # noqa: E402
from at_client.connections import Address, AtRootConnection, AtSecondaryConnection  # noqa: E402
from at_client.connections.notification.atevents import AtEventType  # noqa: E402
from at_client.exception.atexception import (  # noqa: E402
    AtInvalidSyntaxException,
    AtKeyNotFoundException,
    AtSecondaryConnectException,
    AtSecondaryNotFoundException,
    AtUnauthenticatedException,
)
from at_client.util import AuthUtil, KeysUtil, OnboardingUtil  # noqa: E402

from checks import check, expect, expect_equal, expect_refused, run_all  # noqa: E402

# Values that have broken line protocols before: spaces, colons, at signs, other scripts, emoji made
# of several code points, and more than one TLS record.
VALUES = {
    "plain": "+1 555 0100",
    "spaces": " two  spaces, and one in front",
    "punctuation": 'key:value@host "quoted" {"json": [1, 2]} data:error:notification:',
    "scripts": "Grüße, Ὀδυσσεύς, 東京, שלום, नमस्ते",
    "emoji": "🛠️ 👩‍👩‍👧‍👦 🏳️‍🌈 🇺🇳",
    "long": "0123456789abcdef" * 2_000,
}

TTL_MILLIS = 2_000
NOTIFICATION_SECONDS_MAX = 20


class Person:
    """One identity: what was registered, and her client once she is activated."""

    def __init__(self, line):
        record = json.loads(line)
        self.name = record["identity"]
        self.atsign = AtSign(self.name)
        self.address = record.get("address")
        self.secret = record["activation_secret"]
        self.client = None
        self.events = queue.Queue()

    def connection(self, world):
        """A new connection to her server, found through the directory; nobody is logged in."""
        connection = AtSecondaryConnection(world.find(self.atsign))
        connection.connect()
        return connection

    def raw(self, command):
        """What her server answers to one line on her own connection."""
        return self.client.secondary_connection.execute_command(command).get_raw_data_response()


class World:
    """The directory and the two people."""

    def __init__(self, directory, alice, bob):
        self.directory = directory
        self.alice = alice
        self.bob = bob

    def find(self, atsign):
        root = AtRootConnection.get_instance(self.directory.host, self.directory.port)
        return root.find_secondary(atsign)

    def both(self):
        return (self.alice, self.bob)


# Finding


@check("both identities are found through the directory")
def _(world):
    for person in world.both():
        found = str(world.find(person.atsign))
        if person.address:
            expect_equal(found, person.address, person.name)


@check("a name without its own identity is not found")
def _(world):
    stranger = AtSign(f"{world.alice.name}_nobody")
    expect_refused(AtSecondaryNotFoundException, lambda: world.find(stranger))


# Activation


@check("a wrong activation secret is refused")
def _(world):
    for person in world.both():
        connection = person.connection(world)
        wrong = person.secret[::-1] + "0"
        expect_refused(
            AtUnauthenticatedException,
            lambda: AuthUtil.authenticate_with_cram(connection, person.atsign, wrong),
        )
        connection.disconnect()


@check("nothing can be written before activation")
def _(world):
    connection = world.alice.connection(world)
    command = f"update:public:early{world.alice.name} too early"
    expect_refused(
        AtUnauthenticatedException, lambda: connection.execute_command(command)
    )
    connection.disconnect()


@check("both activate with their secrets: CRAM, then PKAM")
def _(world):
    for person in world.both():
        activate(person.name, person.secret, world.directory)
        file = Path(_home.name) / ".atsign" / "keys" / f"{person.name}_key.atKeys"
        expect(file.is_file(), f"the SDK did not save {file.name}")


@check("both log in with their keys")
def _(world):
    for person in world.both():
        person.client = AtClient(
            person.atsign, root_address=world.directory, queue=person.events
        )
        expect(person.client.is_authenticated(), person.name)


@check("the activation secret is gone")
def _(world):
    for person in world.both():
        connection = person.connection(world)
        expect_refused(
            AtKeyNotFoundException,
            lambda: AuthUtil.authenticate_with_cram(connection, person.atsign, person.secret),
        )
        connection.disconnect()


@check("another key pair is refused")
def _(world):
    keys = {}
    OnboardingUtil.generate_pkam_keypair(keys)
    connection = world.alice.connection(world)
    expect_refused(
        AtUnauthenticatedException,
        lambda: AuthUtil.authenticate_with_pkam(connection, world.alice.atsign, keys),
    )
    connection.disconnect()


@check("the keys of one identity do not open another's server")
def _(world):
    keys = KeysUtil.load_keys(world.bob.atsign)
    connection = world.alice.connection(world)
    expect_refused(
        AtUnauthenticatedException,
        lambda: AuthUtil.authenticate_with_pkam(connection, world.alice.atsign, keys),
    )
    connection.disconnect()


# Keys. Each operation gets a key object of its own: the SDK's `get` overwrites the metadata that
# tell it which kind of key it has in hand.


def self_key(world, name):
    return SelfKey(f"{name}.flow", world.alice.atsign)


def public_key(world, name):
    return PublicKey(f"{name}.flow", world.alice.atsign)


def shared_key(world, name):
    return SharedKey(f"{name}.flow", world.alice.atsign, world.bob.atsign)


@check("self keys: put, get, overwrite")
def _(world):
    client = world.alice.client
    for name, value in VALUES.items():
        int(client.put(self_key(world, name), value))
        expect_equal(client.get(self_key(world, name)), value, name)
    client.put(self_key(world, "plain"), "second")
    expect_equal(client.get(self_key(world, "plain")), "second", "after the second put")


@check("public keys: put, get")
def _(world):
    client = world.alice.client
    for name, value in VALUES.items():
        int(client.put(public_key(world, name), value))
        expect_equal(client.get(public_key(world, name)), value, name)


@check("shared keys: put, get")
def _(world):
    client = world.alice.client
    for name, value in VALUES.items():
        int(client.put(shared_key(world, name), value))
        expect_equal(client.get(shared_key(world, name)), value, name)


@check("commit numbers rise with every write")
def _(world):
    client = world.alice.client
    numbers = [int(client.put(self_key(world, "counted"), str(n))) for n in range(3)]
    expect(numbers[0] < numbers[1] < numbers[2], str(numbers))


@check("values are stored encrypted by the client")
def _(world):
    stored = world.alice.raw(f"llookup:emoji.flow{world.alice.name}")
    expect(VALUES["emoji"] not in stored, "the server holds the clear value of a self key")


# Server to server


@check("a shared key is read by the other through his own server")
def _(world):
    for name, value in VALUES.items():
        expect_equal(world.bob.client.get(shared_key(world, name)), value, name)


@check("a public key is read by the other through his own server")
def _(world):
    for name, value in VALUES.items():
        expect_equal(world.bob.client.get(public_key(world, name)), value, name)


@check("anybody reads a public key without logging in")
def _(world):
    connection = world.alice.connection(world)
    answer = connection.execute_command(f"lookup:emoji.flow{world.alice.name}")
    expect_equal(answer.get_raw_data_response(), VALUES["emoji"], "public value")
    connection.disconnect()


@check("a self key is read by nobody else")
def _(world):
    connection = world.alice.connection(world)
    command = f"lookup:counted.flow{world.alice.name}"
    expect_refused(AtKeyNotFoundException, lambda: connection.execute_command(command))
    connection.disconnect()
    expect_refused(AtKeyNotFoundException, lambda: world.bob.raw(command))


@check("both directions: the other shares back")
def _(world):
    key = SharedKey("reply.flow", world.bob.atsign, world.alice.atsign)
    world.bob.client.put(key, "and 🐇 back")
    again = SharedKey("reply.flow", world.bob.atsign, world.alice.atsign)
    expect_equal(world.alice.client.get(again), "and 🐇 back", "reply")


@check("a changed shared value is seen by the other")
def _(world):
    world.alice.client.put(shared_key(world, "plain"), "changed")
    expect_equal(world.bob.client.get(shared_key(world, "plain")), "changed", "second read")


@check("the tour's sharing script shows what it promises")
def _(world):
    lines = share(world.alice.name, world.bob.name, world.directory)
    for line, end in zip(
        lines,
        ("only I can read this", "everybody can read this", f"only {world.bob.name} can read this"),
        strict=True,
    ):
        expect(line.endswith(end), line)


# Scan and metadata


@check("scan with a regex lists exactly the matching keys")
def _(world):
    found = {str(key) for key in world.alice.client.get_at_keys(r"emoji\.flow", False)}
    alice, bob = world.alice.name, world.bob.name
    wanted = {
        f"emoji.flow{alice}",
        f"public:emoji.flow{alice}",
        f"{bob}:emoji.flow{alice}",
    }
    expect_equal(found, wanted, "keys")
    expect_equal(world.alice.client.get_at_keys(r"no\.such\.key", False), [], "no match")


@check("scan with metadata tells when, encrypted or not, and the nonce")
def _(world):
    keys = world.alice.client.get_at_keys(r"^emoji\.flow", True)
    expect_equal(len(keys), 1, "number of keys")
    metadata = keys[0].metadata
    age = time.time() - metadata.created_at.timestamp()
    expect(0 <= age + 1 < 300, f"createdAt is {age} s ago")
    expect(metadata.updated_at >= metadata.created_at, "updated before created")
    expect_equal(len(metadata.iv_nonce), 16, "bytes of ivNonce")
    expect(metadata.data_signature, "no dataSignature")
    # The SDK's own object says "encrypted" whatever the server answers.
    answer = json.loads(world.alice.raw(f"llookup:meta:emoji.flow{world.alice.name}"))
    expect_equal(answer["isEncrypted"], True, "isEncrypted")


@check("scan of all keys hides what is the server's own")
def _(world):
    names = json.loads(world.alice.raw("scan"))
    expect(f"public:publickey{world.alice.name}" in names, "publickey is missing")
    hidden = [n for n in names if n.startswith(("private:", "privatekey:", "_"))]
    expect_equal(hidden, [], "hidden keys")


@check("versions count the updates")
def _(world):
    client = world.alice.client
    for value in ("one", "two", "three"):
        client.put(self_key(world, "versioned"), value)
    metadata = json.loads(world.alice.raw(f"llookup:meta:versioned.flow{world.alice.name}"))
    expect_equal(metadata["version"], 2, "version after three puts")


# Life time


@check("a key with ttl is there, then gone")
def _(world):
    client = world.alice.client
    client.put(self_key(world, "brief").set_time_to_live(TTL_MILLIS), "soon gone")
    expect_equal(client.get(self_key(world, "brief")), "soon gone", "at once")
    deadline = time.monotonic() + TTL_MILLIS / 1000 + 5
    while world.alice.raw(f"llookup:brief.flow{world.alice.name}") != "null":
        expect(time.monotonic() < deadline, "still there long after its time")
        time.sleep(0.2)
    expect_equal(client.get_at_keys(r"brief\.flow", False), [], "in scan")


# Notifications


@check("a notification arrives at the other's monitor and is decrypted")
def _(world):
    bob = world.bob
    threading.Thread(target=bob.client.start_monitor, args=(".*",), daemon=True).start()
    # Should the notification be faster than the monitor, the monitor still tells of it: it asks for
    # all that came since the beginning.
    identifier = world.alice.client.notify(shared_key(world, "note"), "knock 🚪 knock")
    expect(identifier, "notify answered without an identifier")
    event = wait_for(bob, f"{bob.name}:note.flow{world.alice.name}")
    expect_equal(event["decryptedValue"], "knock 🚪 knock", "value")
    expect_equal(event["from"], world.alice.name, "from")
    expect_equal(event["to"], bob.name, "to")
    expect_equal(event["operation"], "update", "operation")


@check("a shared update notifies by itself")
def _(world):
    world.alice.client.put(shared_key(world, "automatic"), "by itself")
    event = wait_for(world.bob, f"{world.bob.name}:automatic.flow{world.alice.name}")
    expect_equal(event["decryptedValue"], "by itself", "value")


@check("the sender learns that a notification was delivered")
def _(world):
    identifier = world.alice.client.notify(shared_key(world, "receipt"), "arrived?")
    deadline = time.monotonic() + NOTIFICATION_SECONDS_MAX
    status = None
    while status != "delivered":
        expect(time.monotonic() < deadline, f"status is still {status}")
        time.sleep(0.1)
        status = world.alice.raw(f"notify:status:{identifier}")


@check("notifications arrive in the order they were sent")
def _(world):
    for number in range(10):
        world.alice.client.notify(shared_key(world, f"ordered{number}"), str(number))
    for number in range(10):
        name = f"{world.bob.name}:ordered{number}.flow{world.alice.name}"
        expect_equal(next_decrypted(world.bob, "ordered")["key"], name, "order")


@check("the monitor answers the SDK's heartbeat")
def _(world):
    monitor = world.bob.client.monitor_connection
    before = monitor._last_heartbeat_ack_time
    monitor.execute_command("noop:0", read_the_response=False)
    while monitor._last_heartbeat_ack_time == before:
        time.sleep(0.05)


def wait_for(person, key):
    """The next decrypted notification of exactly this key."""
    while True:
        event = next_decrypted(person, "")
        if event["key"] == key:
            return event


def next_decrypted(person, part):
    """The next decrypted notification whose key contains `part`."""
    deadline = time.monotonic() + NOTIFICATION_SECONDS_MAX
    while True:
        try:
            event = person.events.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise AssertionError(f"no notification within {NOTIFICATION_SECONDS_MAX} s") from None
        expect(
            event.event_type != AtEventType.MONITOR_EXCEPTION,
            f"the monitor read something it does not understand: {event.event_data}",
        )
        if event.event_type != AtEventType.DECRYPTED_UPDATE_NOTIFICATION:
            person.client.handle_event(person.events, event)
        elif part in event.event_data["key"]:
            return event.event_data


# Deletion


@check("deleted keys are not found: self, public, shared")
def _(world):
    client = world.alice.client
    for make in (self_key, public_key, shared_key):
        int(client.delete(make(world, "scripts")))
        expect_refused(AtKeyNotFoundException, lambda: client.get(make(world, "scripts")))
    expect_equal(client.get_at_keys(r"scripts\.flow", False), [], "in scan")


@check("deleted keys are not found by the other either")
def _(world):
    client = world.bob.client
    expect_refused(AtKeyNotFoundException, lambda: client.get(shared_key(world, "scripts")))
    expect_refused(AtKeyNotFoundException, lambda: client.get(public_key(world, "scripts")))


@check("deleting twice is not an error")
def _(world):
    int(world.alice.client.delete(self_key(world, "scripts")))


# What else may come over the line


@check("a command that nobody knows is refused and the connection goes on")
def _(world):
    expect_refused(AtInvalidSyntaxException, lambda: world.alice.raw("frobnicate:everything"))
    expect_equal(world.alice.raw("noop:0"), "ok", "the next command")


@check("nobody writes under another's name")
def _(world):
    key = PublicKey("stolen.flow", world.bob.atsign)
    refusal = expect_refused(
        AtSecondaryConnectException, lambda: world.alice.client.put(key, "mine now")
    )
    expect("sharedBy" in str(refusal), str(refusal))
    for person in world.both():
        command = f"llookup:public:stolen.flow{world.bob.name}"
        expect_refused(AtKeyNotFoundException, lambda: person.raw(command))


@check("info tells version and uptime")
def _(world):
    info = json.loads(world.alice.raw("info"))
    expect(info["version"] and info["uptimeAsWords"], str(info))


@check("all is still there after logging in anew")
def _(world):
    world.alice.client.secondary_connection.disconnect()
    world.alice.client = AtClient(world.alice.atsign, root_address=world.directory)
    client = world.alice.client
    expect_equal(client.get(self_key(world, "emoji")), VALUES["emoji"], "self key")
    expect_equal(client.get(public_key(world, "long")), VALUES["long"], "public key")
    expect_equal(client.get(shared_key(world, "punctuation")), VALUES["punctuation"], "shared key")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--directory", required=True, help="host:port")
    arguments = parser.parse_args()
    people = [Person(line) for line in sys.stdin if line.strip()]
    if len(people) != 2:
        parser.error(f"two identities are needed on standard input, not {len(people)}")
    code = run_all(World(Address.from_string(arguments.directory), *people))
    _home.cleanup()
    # The SDK's threads read sockets without a deadline; they end with the process.
    os._exit(code)


if __name__ == "__main__":
    main()
