#!/usr/bin/env python3
"""Two activated identities keep, publish and share a value with the published Python SDK.

    SSL_CERT_FILE=DIR/tls/ca.pem python share.py --directory localhost:6464 @alice @bob
"""

import argparse

from at_client.atclient import AtClient
from at_client.common import AtSign
from at_client.common.keys import PublicKey, SelfKey, SharedKey
from at_client.connections import Address


def share(first: str, second: str, directory: Address) -> list[str]:
    """Returns what each of the two reads, a line each."""
    alice, bob = AtSign(first), AtSign(second)
    at_alice = AtClient(alice, root_address=directory)
    at_bob = AtClient(bob, root_address=directory)

    # Each operation gets its own key object: the SDK's `get` changes the one it is given.
    at_alice.put(SelfKey("diary.tour", alice), "only I can read this")
    at_alice.put(PublicKey("motto.tour", alice), "everybody can read this")
    at_alice.put(SharedKey("phone.tour", alice, bob), f"only {second} can read this")

    read = {
        f"{first} reads her own key:": at_alice.get(SelfKey("diary.tour", alice)),
        f"{second} reads {first}'s public key:": at_bob.get(PublicKey("motto.tour", alice)),
        f"{second} reads what she shared:": at_bob.get(SharedKey("phone.tour", alice, bob)),
    }

    at_alice.delete(SelfKey("diary.tour", alice))
    at_alice.delete(PublicKey("motto.tour", alice))
    at_alice.delete(SharedKey("phone.tour", alice, bob))
    width = max(map(len, read))
    return [f"{who:<{width}}  {value}" for who, value in read.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description="Keep, publish and share a value.")
    parser.add_argument("--directory", default="localhost:6464", help="host:port of the directory")
    parser.add_argument("first", help="an activated identity, for example @alice")
    parser.add_argument("second", help="another one, for example @bob")
    arguments = parser.parse_args()
    directory = Address.from_string(arguments.directory)
    print("\n".join(share(arguments.first, arguments.second, directory)))


if __name__ == "__main__":
    main()
