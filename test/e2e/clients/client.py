"""Calls the daemon with PyPI's `varlink` package, and prints the answers as JSON."""
import json
import sys

import varlink

INTERFACE = "io.cio.Credentials"


def error_of(call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except varlink.VarlinkError as error:
        return {"name": error.error(), "parameters": error.parameters()}
    return None


# The constructor fetches every interface and parses its description.
with varlink.Client.new_with_address("unix:" + sys.argv[1]) as client:
    with client.open("org.varlink.service") as service:
        info = service.GetInfo()
        description = service.GetInterfaceDescription(INTERFACE)["description"]
        unknown_interface = error_of(service.GetInterfaceDescription, "no.such.interface")
    with client.open(INTERFACE) as credentials:
        created = credentials.Create(
            [{"name": "cio_aws_access_key", "value": "AKIA"}, {"name": "binary", "data": "/wD/"}]
        )
        got = credentials.Get("cio_aws_access_key")
        got_binary = credentials.Get(name="binary")
        listed = list(credentials.List(_more=True))
        not_found = error_of(credentials.Get, "no-such-name")
        exists = error_of(credentials.Create, [{"name": "binary", "value": "again"}])
        after_errors = credentials.Get("cio_aws_access_key")

print(
    json.dumps(
        {
            "info": info,
            "description": description,
            "unknownInterface": unknown_interface,
            "created": created,
            "got": got,
            "gotBinary": got_binary,
            "listed": listed,
            "notFound": not_found,
            "exists": exists,
            "afterErrors": after_errors,
        }
    )
)
