#!/usr/bin/env python3
"""Activates an identity with the published Python SDK.

    pip install atsdk
    SSL_CERT_FILE=DIR/tls/ca.pem python activate.py --directory localhost:6464 @alice SECRET

Makes the identity's keys on this machine, shows the server the activation secret once, gives it the
public keys, and has it forget the secret. The keys are saved where the SDK looks for them,
~/.atsign/keys/, and nowhere else: whoever loses that file loses the identity's encrypted data.
"""

import argparse

from at_client.common import AtSign
from at_client.connections import Address, AtRootConnection, AtSecondaryConnection
from at_client.util import AuthUtil, KeysUtil, OnboardingUtil


def activate(identity: str, secret: str, directory: Address) -> None:
    """From the activation secret to a server that knows its owner by key."""
    owner = AtSign(identity)
    address = AtRootConnection.get_instance(directory.host, directory.port).find_secondary(owner)
    connection = AtSecondaryConnection(address)
    connection.connect()
    AuthUtil.authenticate_with_cram(connection, owner, secret)

    keys = {}
    OnboardingUtil.generate_self_encryption_key(keys)
    OnboardingUtil.generate_pkam_keypair(keys)
    OnboardingUtil.generate_encryption_keypair(keys)
    # Saved before the server learns of them: a crash in between costs nothing.
    KeysUtil.save_keys(owner, keys)

    OnboardingUtil.store_pkam_public_key(connection, keys)
    AuthUtil.authenticate_with_pkam(connection, owner, keys)
    OnboardingUtil.store_public_encryption_key(connection, owner.without_prefix, keys)
    OnboardingUtil.delete_cram_key(connection)
    connection.disconnect()


def main() -> None:
    parser = argparse.ArgumentParser(description="Activate an identity with its activation secret.")
    parser.add_argument("--directory", default="localhost:6464", help="host:port of the directory")
    parser.add_argument("identity", help="for example @alice")
    parser.add_argument("secret", help="the activation secret, used once")
    arguments = parser.parse_args()
    activate(arguments.identity, arguments.secret, Address.from_string(arguments.directory))
    print(f"{arguments.identity} is active")


if __name__ == "__main__":
    main()
