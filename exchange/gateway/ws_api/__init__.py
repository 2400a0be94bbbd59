"""The WebSocket API, `/ws-api/v3`: the endpoints of REST and the user data stream over one connection."""
