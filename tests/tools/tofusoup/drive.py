#!/usr/bin/env python
"""Drives a provider with tofusoup, a client that shares no code with ours.

drive.py BINARY: exits 0 and prints a line for each thing found true.
"""

import asyncio
import sys

from pyvider.protocols.tfprotov6.protobuf import tfplugin6_pb2 as pb
from tofusoup.tfplugin import base_env, diagnostic_text, errors, pack, start_provider


def holds(what, true):
    if not true:
        sys.exit(f"does not hold: {what}")
    print(what)


async def drive(binary):
    provider = await start_provider(binary, base_env())
    try:
        stub = provider.stub
        holds("protocol 6 is agreed upon", provider.protocol_version == 6)
        holds("the channel is a unix socket", provider.transport == "unix")

        schema = await stub.GetProviderSchema(pb.GetProviderSchema.Request())
        holds("the schema comes without errors", not errors(schema.diagnostics))
        holds("the schema has resources", len(schema.resource_schemas) > 0)

        metadata = await stub.GetMetadata(pb.GetMetadata.Request())
        holds("the metadata come without errors", not errors(metadata.diagnostics))
        kinds = {
            "resources": (schema.resource_schemas, [one.type_name for one in metadata.resources]),
            "data sources": (schema.data_source_schemas, [one.type_name for one in metadata.data_sources]),
            "functions": (schema.functions, [one.name for one in metadata.functions]),
        }
        for kind, (schemas, names) in kinds.items():
            holds(f"the metadata name the {kind} of the schema, each once", sorted(schemas) == sorted(names))

        unknown = pb.ValidateResourceConfig.Request(type_name="no_such_thing", config=pack({}))
        answer = await stub.ValidateResourceConfig(unknown)
        told = diagnostic_text(errors(answer.diagnostics))
        holds("a type that is not there is a diagnostic that names it", "no_such_thing" in told)
    finally:
        await provider.stop()


asyncio.run(drive(sys.argv[1]))
