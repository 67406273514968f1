"""A playground with real parts on this machine: Envoy, two docflow servers, flags, users; all on 127.0.0.1.

    control (any process) ──sandbox.json──▶ supervisor ──▶ envoy, docflow blue, docflow green, load

The supervisor itself answers for the flag service, the guarded Envoy admin API with `/deploy`, and the
control API.
"""
