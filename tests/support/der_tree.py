"""A certificate as a tree of DER elements that a test can change, and bytes again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

_CONSTRUCTED = 0x20


@dataclass
class Node:
    """One element: `content` of a primitive one, `children` of a constructed one."""

    tag: int
    content: bytes = b""
    children: list[Node] = field(default_factory=list)

    @classmethod
    def read(cls, data: bytes) -> Node:
        """Return the one element that fills `data`."""
        node, end = cls._read(data, 0)
        assert end == len(data)
        return node

    @classmethod
    def _read(cls, data: bytes, at: int) -> tuple[Node, int]:
        tag, size, at = data[at], data[at + 1], at + 2
        if size & 0x80:
            count = size & 0x7F
            size, at = int.from_bytes(data[at : at + count], "big"), at + count
        end = at + size
        if not tag & _CONSTRUCTED:
            return cls(tag, data[at:end]), end
        children = []
        while at < end:
            child, at = cls._read(data, at)
            children.append(child)
        return cls(tag, b"", children), end

    def bytes(self) -> bytes:
        """Return the element in DER."""
        content = b"".join(child.bytes() for child in self.children) if self.children else self.content
        if len(content) < 0x80:
            return bytes((self.tag, len(content))) + content
        size = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
        return bytes((self.tag, 0x80 | len(size))) + size + content

    def at(self, *path: int) -> Node:
        """Return the element at a path of positions."""
        node = self
        for position in path:
            node = node.children[position]
        return node

    def paths(self, path: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
        """Yield the path of each element, this one first."""
        yield path
        for position, child in enumerate(self.children):
            yield from child.paths((*path, position))
