"""A layer as a tar that is written member by member, and may be as wrong as a test wants it."""

import io
import tarfile

TIME = 1_700_000_000


class Layer:
    """Members in the order in which they are added; every call returns the layer, so calls can be chained.

    Names are written as they are given: nothing is normalised, nothing is refused.
    """

    def __init__(self) -> None:
        self._buffer = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._buffer, mode="w", format=tarfile.PAX_FORMAT)
        self._closed = False

    def directory(self, name: str, mode: int = 0o755, *, uid: int = 0, gid: int = 0) -> "Layer":
        return self._add(name, tarfile.DIRTYPE, mode, uid=uid, gid=gid)

    def file(
        self, name: str, content: bytes | str = b"", mode: int = 0o644, *, uid: int = 0, gid: int = 0
    ) -> "Layer":
        data = content.encode() if isinstance(content, str) else content
        return self._add(name, tarfile.REGTYPE, mode, data, uid=uid, gid=gid)

    def symlink(self, name: str, target: str) -> "Layer":
        return self._add(name, tarfile.SYMTYPE, 0o777, target=target)

    def hardlink(self, name: str, target: str) -> "Layer":
        return self._add(name, tarfile.LNKTYPE, 0o644, target=target)

    def fifo(self, name: str) -> "Layer":
        return self._add(name, tarfile.FIFOTYPE, 0o644)

    def device(self, name: str, major: int, minor: int, mode: int = 0o666, *, block: bool = False) -> "Layer":
        kind = tarfile.BLKTYPE if block else tarfile.CHRTYPE
        return self._add(name, kind, mode, device=(major, minor))

    def whiteout(self, name: str) -> "Layer":
        """Hide `name` of the layers below."""
        folder, _, last = name.rpartition("/")
        return self.file(f"{folder}/.wh.{last}" if folder else f".wh.{last}")

    def opaque(self, folder: str) -> "Layer":
        """Hide everything that the layers below have in `folder`."""
        return self.file(f"{folder}/.wh..wh..opq")

    def extended(self, name: str, headers: dict[str, str], content: bytes = b"") -> "Layer":
        """A file with PAX headers, such as SCHILY.xattr.user.note."""
        member = self._member(name, tarfile.REGTYPE, 0o644, content)
        member.pax_headers = headers
        self._tar.addfile(member, io.BytesIO(content))
        return self

    def bytes(self) -> bytes:
        """The tar, whole. Nothing can be added afterwards."""
        if not self._closed:
            self._tar.close()
            self._closed = True
        return self._buffer.getvalue()

    def _add(
        self,
        name: str,
        kind: "bytes",
        mode: int,
        content: "bytes" = b"",
        *,
        target: str = "",
        device: tuple[int, int] = (0, 0),
        uid: int = 0,
        gid: int = 0,
    ) -> "Layer":
        member = self._member(name, kind, mode, content)
        member.linkname, member.uid, member.gid = target, uid, gid
        member.devmajor, member.devminor = device
        self._tar.addfile(member, io.BytesIO(content))
        return self

    def _member(self, name: str, kind: "bytes", mode: int, content: "bytes") -> tarfile.TarInfo:
        member = tarfile.TarInfo(name)
        member.type, member.mode, member.mtime, member.size = kind, mode, TIME, len(content)
        return member
