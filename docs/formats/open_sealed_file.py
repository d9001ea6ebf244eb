"""Opens a sealed file. An independent reading of sealed-file.md, to check the page and for rescue.

    open_sealed_file.py FILE KEY_UID FILE_KEY_HEX BINDING [NAME=VALUE ...] > plaintext

Needs the package `cryptography`.
"""

import hashlib
import hmac
import struct
import sys
import uuid

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

HEADER = 208


def sized(data):
    return struct.pack(">I", len(data)) + data


def canonical(context):
    pairs = sorted((k.encode(), v.encode()) for k, v in context.items())
    return struct.pack(">I", len(pairs)) + b"".join(sized(k) + sized(v) for k, v in pairs)


def derive(data_key, salt, purpose, header_hash):
    info = sized(purpose) + sized(header_hash)
    return HKDF(hashes.SHA512(), 32, salt, info).derive(data_key)


def wrap_aad(fixed):
    return sized(b"falaj sealed file data key v1") + fixed[8:11] + fixed[16:32]


def secrets(data_key, fixed, context):
    header_hash = hashlib.sha256(fixed + canonical(context)).digest()
    names = (b"chunks", b"commitment", b"length")
    keys = [derive(data_key, fixed[92:124], b"falaj sealed file " + n + b" v1", header_hash) for n in names]
    return (header_hash, *keys)


def length_seal(key, header_hash, total, chunks, binding):
    text = header_hash + struct.pack(">QQ", total, chunks) + binding
    return hmac.digest(key, text, "sha256")


def nonce(index, last):
    return bytes(7) + struct.pack(">IB", index, last)


def open_file(data, key_uid, file_key, context, binding):
    fixed, rest = data[:128], data[128:HEADER]
    if len(data) < HEADER or fixed[:8] != b"falajsf\0" or fixed[8:10] != b"\1\1":
        raise ValueError("not a sealed file of version 1")
    if fixed[16:32] != key_uid.bytes:
        raise ValueError("sealed under another key")
    commitment, total, chunks, seal = rest[:32], *struct.unpack(">QQ", rest[32:48]), rest[48:]
    data_key = AESGCM(file_key).decrypt(fixed[32:44], fixed[44:92], wrap_aad(fixed))
    header_hash, chunk_key, expected, length_key = secrets(data_key, fixed, context)
    if not hmac.compare_digest(commitment, expected):
        raise ValueError("the key or the context differs")
    if not hmac.compare_digest(seal, length_seal(length_key, header_hash, total, chunks, binding)):
        raise ValueError("the length or the binding differs")
    size = 1 << fixed[10]
    if chunks != max(1, -(-total // size)) or len(data) != HEADER + total + 16 * chunks:
        raise ValueError("bytes were cut off or appended")
    out, at = b"", HEADER
    for index in range(chunks):
        length = min(size, total - index * size) + 16
        last = index + 1 == chunks
        out += AESGCM(chunk_key).decrypt(nonce(index, last), data[at : at + length], header_hash)
        at += length
    return out


def main(path, key_uid, file_key, binding, *pairs):
    context = dict(pair.split("=", 1) for pair in pairs)
    with open(path, "rb") as file:
        data = file.read()
    plaintext = open_file(data, uuid.UUID(key_uid), bytes.fromhex(file_key), context, binding.encode())
    sys.stdout.buffer.write(plaintext)


if __name__ == "__main__":
    main(*sys.argv[1:])
