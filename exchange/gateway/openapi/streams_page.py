"""The AsyncAPI document as a page that people read: channels, what they tell and take, and the fields of messages.

Owns the HTML. No script: what is long is folded by the browser. Everything that comes from the document is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from typing import Any

Json = dict[str, Any]
_FRAME = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Exchange: streams</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/page.css">
</head>
<body>
<header><nav><a href="/docs">REST</a> · <b>Streams</b> · <a href="/asyncapi.json">asyncapi.json</a></nav></header>
<article>
{}
</article>
</body>
</html>
"""


def html(document: Json) -> str:
    """The page."""
    return _FRAME.format("\n".join(_Page(document).lines()))


def _text(words: str) -> str:
    """A text with `code` in it."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(words, quote=False))


class _Page:
    """Writes one document."""

    def __init__(self, document: Json) -> None:
        self._document = document
        self._schemas: Json = document["components"]["schemas"]

    def lines(self) -> Iterator[str]:
        """The inside of the article."""
        info = self._document["info"]
        yield f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>"
        yield f"<p>{_text(info['description'])}</p>"
        yield from _table(
            ("port", "address"),
            (
                (one["description"], f"<code>ws://{escape(one['host'])}</code>")
                for one in self._document["servers"].values()
            ),
        )
        for name, channel in self._document["channels"].items():
            yield from self._channel(name, channel)
        yield "<h2>Types</h2>"
        for name, schema in self._schemas.items():
            yield from self._schema(name, schema)

    def _channel(self, name: str, channel: Json) -> Iterator[str]:
        yield f'<h2 id="{escape(name)}">{escape(channel["title"])} <code>{escape(channel["address"])}</code></h2>'
        yield f"<p>{_text(channel['description'])}</p>"
        if "parameters" in channel:
            parameters = channel["parameters"].items()
            yield from _table(
                ("parameter", ""),
                ((f"<code>{escape(one)}</code>", _text(about["description"])) for one, about in parameters),
            )
        rows = (
            self._operation(one)
            for one in self._document["operations"].values()
            if one["channel"]["$ref"] == f"#/channels/{name}"
        )
        yield from _table(("", "", "message"), rows)

    def _operation(self, operation: Json) -> tuple[str, ...]:
        """Who speaks, about what, and with which messages."""
        who = "client" if operation["action"] == "receive" else "exchange"
        about = " ".join(
            (
                *([f"<code>{escape(operation['title'])}</code>"] if "title" in operation else ()),
                _text(operation.get("summary", "")),
            )
        )
        messages = [*operation["messages"], *operation.get("reply", {}).get("messages", ())]
        return who, about, " ".join(self._message(one["$ref"].rpartition("/")[2]) for one in messages)

    def _message(self, name: str) -> str:
        payload = self._document["components"]["messages"][name]["payload"]
        if "allOf" in payload:
            return f"→ {self._type(payload['allOf'][1]['properties']['result'])}"
        if "properties" in payload:
            parameters = payload["properties"]["params"]
            needed = parameters.get("required", ())
            names = (f"<code>{escape(one)}</code>{' *' if one in needed else ''}" for one in parameters["properties"])
            return f"<details><summary>parameters</summary>{', '.join(names)}</details>"
        return self._type(payload)

    def _schema(self, name: str, schema: Json) -> Iterator[str]:
        yield f'<h3 id="type-{escape(name)}">{escape(name)}</h3>'
        yield f"<p>{_text(schema.get('description', ''))}</p>"
        if "prefixItems" in schema:
            yield from _table(
                ("at", "type"), ((str(at), self._type(one)) for at, one in enumerate(schema["prefixItems"]))
            )
            return
        needed = schema.get("required", ())
        rows = (
            (f"<code>{escape(one)}</code>", self._type(inner), "" if one in needed else "optional")
            for one, inner in schema.get("properties", {}).items()
        )
        yield from _table(("field", "type", ""), rows)

    def _type(self, schema: Json) -> str:
        """A type in words."""
        if "$ref" in schema:
            name = escape(schema["$ref"].rpartition("/")[2])
            return f'<a href="#type-{name}">{name}</a>'
        if "anyOf" in schema:
            return " or ".join(map(self._type, schema["anyOf"]))
        if "const" in schema or "enum" in schema:
            words = [schema["const"]] if "const" in schema else schema["enum"]
            return " ".join(f"<code>{escape(str(word))}</code>" for word in words)
        if schema.get("type") == "array":
            return f"array of {self._type(schema['items'])}" if isinstance(schema.get("items"), dict) else "array"
        about = schema.get("description", "")
        kind = "decimal" if schema.get("examples") == ["0.01000000"] else str(schema.get("type", "anything"))
        return escape(kind) + (f": {_text(about)}" if about else "")


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    """A table of cells that are HTML already; nothing where there are no rows."""
    lines = ["".join(f"<td>{cell}</td>" for cell in row) for row in rows]
    if lines:
        yield f"<table><tr>{''.join(f'<th>{escape(cell)}</th>' for cell in head)}</tr>"
        yield from (f"<tr>{line}</tr>" for line in lines)
        yield "</table>"
