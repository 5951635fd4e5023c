"""Holds a SCIM service against RFC 7643 and RFC 7644 by scim2-tester; prints one line for each check.

The address is the first argument, the authority's certificate the second; the token is in the environment."""

import os
import ssl
import sys

from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import check_server

address, authority = sys.argv[1:]
client = Client(
    base_url=address,
    verify=ssl.create_default_context(cafile=authority),
    headers={"Authorization": "Bearer " + os.environ["SCIM_TOKEN"]},
)
scim = SyncSCIMClient(client)
scim.discover()
for result in check_server(scim):
    print(result.status.name, result.title, result.resource_type or "", result.reason or "", sep="\t")
