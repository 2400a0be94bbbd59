"""The documents that describe the exchange to programs and to people, generated from what serves them.

    routes and fields ─► document.py ─► GET /openapi.json        stream kinds ─► asyncapi.py ─► GET /asyncapi.json
    operations.py: which answer and which errors a route has      pages.py: GET /docs, from assets/

Owns nothing that a request depends on. Tests hold every description against a real server.
"""
