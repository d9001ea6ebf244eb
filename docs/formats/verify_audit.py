"""Verifies the audit chains of a database. An independent reading of audit.md.

    verify_audit.py DB.SQLITE

Prints a line for each chain, and the ids of the signing keys, to compare with ones kept elsewhere.
Fails at the first thing that is not as it should be. Needs the package `cryptography`.
"""

import hashlib
import json
import sqlite3
import sys

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec


def sha256(data):
    return hashlib.sha256(data).digest()


def root(leaves):
    """RFC 9162, section 2.1.1."""
    if len(leaves) < 2:
        return sha256(b"\0" + leaves[0]) if leaves else sha256(b"")
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\1" + root(leaves[:k]) + root(leaves[k:]))


def check(condition, what):
    if not condition:
        sys.exit(what)


def hashes_of(database, chain):
    found, previous = [], bytes(32)
    query = "SELECT seq, event, hash, details FROM audit_events WHERE chain = ? ORDER BY seq"
    for seq, text, stored, details in database.execute(query, (chain,)):
        bad = f"{chain}: event {len(found) + 1} does not verify"
        event = json.loads(text)
        canonical = json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        check((event["chain"], event["seq"], seq) == (chain, len(found) + 1, len(found) + 1), bad)
        check(canonical == text and stored == sha256(previous + text.encode()), bad)
        check(details is None or hashlib.sha256(details).hexdigest() == event["details_sha256"], bad)
        previous = stored
        found.append(stored)
    return found


def main(path):
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    keys = {}
    for key_id, cluster, point in database.execute("SELECT key_id, cluster, public_key FROM signing_keys"):
        check(key_id == hashlib.sha256(point).hexdigest()[:32], f"key {key_id} is not the one of that id")
        keys[key_id] = (cluster, ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point))
    for chain, size, head in database.execute("SELECT chain, size, hash FROM audit_heads ORDER BY chain"):
        leaves = hashes_of(database, chain)
        check((size, head) == (len(leaves), (leaves or [bytes(32)])[-1]), f"{chain}: the end is missing")
        query = "SELECT size, root, at, key_id, signature FROM audit_checkpoints WHERE chain = ?"
        checkpoints = database.execute(query, (chain,)).fetchall()
        for at_size, signed, at, key_id, signature in checkpoints:
            check(signed == root(leaves[:at_size]), f"{chain}: rewritten before event {at_size}")
            cluster, key = keys[key_id]
            text = f"falaj audit checkpoint v1\n{cluster}\n{chain}\n{at_size}\n{signed.hex()}\n{at}\n"
            key.verify(signature, text.encode(), ec.ECDSA(hashes.SHA256()))
        print(chain, size, root(leaves).hex(), f"{len(checkpoints)} checkpoints", *keys)


if __name__ == "__main__":
    main(*sys.argv[1:])
