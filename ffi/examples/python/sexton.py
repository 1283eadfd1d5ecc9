"""Python binding of libsexton. Needs only the standard library.

Sexton deletes stored objects inside promised windows and proves it. This module is a thin layer over its C interface,
and the documentation in `sexton.h` applies. A function that fails raises `Error` with status and message. The `with`
statement or the garbage collector frees handles. JSON results are parsed.

    with Options(origin="example.com/uploads", classes=CLASSES) as options, Engine("data", options) as engine:
        [registered] = engine.register([Registration(b"cat.jpg", "uploads")])
        for batch in engine.batches():
            engine.complete(batch, [(i, Answer.DELETED) for i, _ in enumerate(batch.objects)])
        proof = engine.receipt(registered.id, key=b"cat.jpg")
    verdict = verify(proof, policy)

The library is $SEXTON_LIBRARY, or libsexton.so.0 from the library path of the system.
"""

from __future__ import annotations

import ctypes
import json
import os
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from ctypes import byref, c_char_p, c_int, c_int32, c_int64, c_size_t, c_uint8, c_uint32, c_void_p
from dataclasses import dataclass
from typing import Any

import sexton_abi as abi

# Re-exported for programs.
from sexton_abi import API_BODY_BYTES_MAX, BUFFERED, HOLD_EVENT, HOLD_TEMPORARY, ID_BYTES, NEVER_MS, ONLY_MISSING
from sexton_abi import RELEASE, RESCHEDULE, START, Answer, Compliance, Previous, State, Status
from sexton_abi import lib as _lib

# ---- conversions and calls ----


class Error(Exception):
    """Error of a failed call: the status, and the message of the library."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = Status(status)


def _bytes(value: bytes | str) -> abi.sexton_bytes:
    """Returns bytes for C. They keep the Python object alive that they point into."""
    raw = value.encode() if isinstance(value, str) else value
    borrowed = abi.sexton_bytes(ctypes.cast(c_char_p(raw), c_void_p), len(raw))
    borrowed._kept = raw  # type: ignore[attr-defined]
    return borrowed


def _copy(value: abi.sexton_bytes) -> bytes:
    return ctypes.string_at(value.data, value.len) if value.len else b""


def _call(name: str, *arguments: Any) -> None:
    """Calls a function whose last argument is the error pointer. Raises `Error` if it fails."""
    error = c_void_p()
    status = getattr(_lib, name)(*arguments, byref(error))
    if status == Status.OK:
        return
    message = _copy(_lib.sexton_error_message(error)).decode(errors="replace")
    _lib.sexton_error_free(error)
    raise Error(status, message)


def _text(name: str, *arguments: Any) -> bytes:
    """Calls a function that gives a text, and returns the text."""
    text = c_void_p()
    _call(name, *arguments, byref(text))
    try:
        return _copy(_lib.sexton_text_bytes(text))
    finally:
        _lib.sexton_text_free(text)


def _number(name: str, kind: type, *arguments: Any) -> int:
    """Calls a function that gives a number of ctypes type `kind`, and returns the number."""
    out = kind()
    _call(name, *arguments, byref(out))
    return out.value


class _Handle:
    """Handle of the library, freed exactly once."""

    _free = ""

    def __init__(self, handle: int | None):
        self._handle = handle

    def free(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            getattr(_lib, self._free)(handle)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.free()

    def __del__(self) -> None:
        # During interpreter shutdown or after a failed import the library may be missing.
        if getattr(self, "_handle", None) is not None and _lib is not None:
            self.free()


# ---- values ----


class Id(bytes):
    """A registration id."""

    def __str__(self) -> str:
        raw = _id_in(self)
        return _text("sexton_id_format", byref(raw)).decode()

    @staticmethod
    def parse(text: str) -> Id:
        out = abi.sexton_id()
        _call("sexton_id_parse", _bytes(text), byref(out))
        return Id(bytes(out.bytes))


def _id_in(value: bytes) -> abi.sexton_id:
    if len(value) != ID_BYTES:
        raise ValueError(f"a registration id has {ID_BYTES} bytes, not {len(value)}")
    return abi.sexton_id((c_uint8 * ID_BYTES)(*value))


@dataclass(frozen=True)
class Registration:
    """Object to register."""

    key: bytes
    class_name: str
    version: bytes = b""
    digest: bytes = b""
    subject: bytes = b""
    start_ms: int | None = None
    size_bytes: int | None = None


@dataclass(frozen=True)
class Registered:
    """Answer to a registration."""

    id: Id
    previous: Previous
    previous_id: Id
    ticket: bytes


@dataclass(frozen=True)
class Change:
    """Change of a registered object, which is named by `key`, by `key` and `of_version`, or by `id`."""

    kind: int
    key: bytes = b""
    of_version: bytes = b""
    id: bytes = bytes(ID_BYTES)
    class_name: str = ""
    start_ms: int | None = None


@dataclass(frozen=True)
class Changed:
    """Answer to a change. A refused change has an error status and a message."""

    status: Status
    id: Id
    floor_ms: int | None
    ceiling_ms: int | None
    ticket: bytes
    message: str


@dataclass(frozen=True)
class Object:
    """Object to delete."""

    id: Id
    key: bytes
    version: bytes
    digest: bytes
    size_bytes: int | None
    floor_ms: int | None
    ceiling_ms: int | None


@dataclass(frozen=True)
class Batch:
    """Copy of a sub-batch, which does not depend on the library's memory."""

    batch: int
    epoch: int
    index: int
    attempt: int
    class_name: str
    disposition: int
    objects: tuple[Object, ...]


@dataclass(frozen=True)
class Completion:
    """Result of a submitted call."""

    token: int
    status: Status
    message: str
    registered: tuple[Registered, ...]
    changed: tuple[Changed, ...]


@dataclass(frozen=True)
class Verdict:
    """Content of an authentic receipt."""

    compliance: Compliance
    by_ms: int
    start_ms: int
    floor_ms: int | None
    ceiling_ms: int | None
    time_ms: int
    origin: str
    class_name: str
    key: bytes
    method: str
    id: Id


class Results(_Handle):
    """Answers of a call, in the library's memory."""

    _free = "sexton_results_free"

    def registered(self) -> tuple[Registered, ...]:
        n = c_size_t()
        items = _lib.sexton_results_registered(self._handle, byref(n))
        return tuple(_registered(items[i]) for i in range(n.value))

    def changed(self) -> tuple[Changed, ...]:
        n = c_size_t()
        items = _lib.sexton_results_changed(self._handle, byref(n))
        return tuple(_changed(items[i]) for i in range(n.value))

    def completion(self) -> Completion:
        return Completion(
            _lib.sexton_results_token(self._handle),
            Status(_lib.sexton_results_status(self._handle)),
            _copy(_lib.sexton_results_message(self._handle)).decode(),
            self.registered(),
            self.changed(),
        )


def _value(item: Any, field: str) -> int | None:
    """Returns an optional field, or None if its `has_` flag is not set."""
    return getattr(item, field) if getattr(item, "has_" + field.rsplit("_", 1)[0]) else None


def _set(entry: Any, field: str, value: int | None) -> None:
    """Sets an optional field and its `has_` flag, unless the value is None."""
    if value is not None:
        setattr(entry, field, value)
        setattr(entry, "has_" + field.rsplit("_", 1)[0], True)


def _registered(item: abi.sexton_registered) -> Registered:
    ids = Id(bytes(item.id.bytes)), Id(bytes(item.previous_id.bytes))
    return Registered(ids[0], Previous(item.previous), ids[1], _copy(item.ticket))


def _changed(item: abi.sexton_changed) -> Changed:
    status, id, message = Status(item.status), Id(bytes(item.id.bytes)), _copy(item.message).decode()
    return Changed(status, id, _value(item, "floor_ms"), _value(item, "ceiling_ms"), _copy(item.ticket), message)


def _registrations(items: Sequence[Registration]) -> Any:
    array = (abi.sexton_registration * len(items))()
    array._borrowed = []
    for entry, item in zip(array, items):
        for field in ("key", "class_name", "version", "digest", "subject"):
            borrowed = _bytes(getattr(item, field))
            array._borrowed.append(borrowed._kept)
            setattr(entry, field, borrowed)
        _set(entry, "start_ms", item.start_ms)
        _set(entry, "size_bytes", item.size_bytes)
    return array


def _changes(items: Sequence[Change]) -> Any:
    array = (abi.sexton_object_change * len(items))()
    array._borrowed = []
    for entry, item in zip(array, items):
        for field in ("key", "of_version", "class_name"):
            borrowed = _bytes(getattr(item, field))
            array._borrowed.append(borrowed._kept)
            setattr(entry, field, borrowed)
        entry.kind, entry.id = item.kind, _id_in(item.id)
        _set(entry, "start_ms", item.start_ms)
    return array


def _batch(handle: int) -> Batch:
    """Copies a sub-batch. Does not free the handle."""
    n = c_size_t()
    id, items = _lib.sexton_batch_get_id(handle), _lib.sexton_batch_objects(handle, byref(n))
    objects = tuple(
        Object(
            Id(bytes(item.id.bytes)),
            _copy(item.key),
            _copy(item.version),
            _copy(item.digest),
            _value(item, "size_bytes"),
            _value(item, "floor_ms"),
            _value(item, "ceiling_ms"),
        )
        for item in (items[i] for i in range(n.value))
    )
    class_name, disposition = _copy(_lib.sexton_batch_class(handle)).decode(), _lib.sexton_batch_disposition(handle)
    return Batch(id.batch, id.epoch, id.index, id.attempt, class_name, disposition, objects)


# ---- options and engine ----


class Options(_Handle):
    """Options by name, as in sexton.h, and callbacks.

    `delete` is called with the engine and a batch, from a thread of the library. `log` is called with a level and a
    line. `clock` returns wall and monotonic milliseconds.
    """

    _free = "sexton_options_free"

    def __init__(
        self,
        *,
        delete: Callable[[Engine, Batch], None] | None = None,
        log: Callable[[int, str], None] | None = None,
        clock: Callable[[], tuple[int, int]] | None = None,
        **named: str | int | bool,
    ):
        super().__init__(_lib.sexton_options_new())
        self._kept: list[Any] = []  # C holds no reference to the callbacks
        for name, value in named.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            _call("sexton_options_set", self._handle, _bytes(name), _bytes(text))
        if delete is not None:
            function = abi.DeleteFunction(_deleting(delete))
            _call("sexton_options_set_delete", self._handle, function, None)
            self._kept.append(function)
        if log is not None:
            function = abi.LogFunction(lambda _, level, line: log(level, _copy(line).decode(errors="replace")))
            _call("sexton_options_set_log", self._handle, function, None)
            self._kept.append(function)
        if clock is not None:
            wall, monotonic = abi.ClockFunction(lambda _: clock()[0]), abi.ClockFunction(lambda _: clock()[1])
            _call("sexton_options_set_clock", self._handle, wall, monotonic, None)
            self._kept += [wall, monotonic]


def _deleting(delete: Callable[[Engine, Batch], None]) -> Callable[[Any, int, int], int]:
    def called(_: Any, engine: int, batch: int) -> int:
        try:
            delete(Engine._borrowed(engine), _batch(batch))
            return 0
        except Exception:
            # An exception cannot pass through C. Objects without answer count as failed, and come again.
            traceback.print_exc()
            return 1

    return called


class Engine(_Handle):
    """Open engine. Many threads may call its methods at once."""

    _free = "sexton_engine_free"

    def __init__(self, folder: str | os.PathLike[str], options: Options):
        super().__init__(None)
        self._kept = options._kept
        out = c_void_p()
        _call("sexton_open", _bytes(os.fsencode(folder)), options._handle, byref(out))
        self._handle = out.value

    @classmethod
    def _borrowed(cls, handle: int) -> Engine:
        """Returns an engine for use inside a callback, which does not free the handle."""
        return _BorrowedEngine(handle)

    def close(self) -> None:
        """Closes the engine after waiting for running calls. Later calls fail with `Status.CLOSED`."""
        _call("sexton_close", self._handle)

    def now_ms(self) -> int:
        return _number("sexton_now_ms", c_int64, self._handle)

    def next_due_ms(self) -> int:
        return _number("sexton_next_due_ms", c_int64, self._handle)

    def state(self) -> State:
        return State(_number("sexton_state", c_int32, self._handle))

    def status(self) -> dict[str, Any]:
        return json.loads(_text("sexton_status", self._handle))

    def register(self, items: Sequence[Registration], flags: int = 0) -> tuple[Registered, ...]:
        """Registers all objects, or none if one is invalid. Returns when the registrations are durable."""
        out = c_void_p()
        _call("sexton_register", self._handle, _registrations(items), len(items), flags, byref(out))
        with Results(out.value) as results:
            return results.registered()

    def change(self, items: Sequence[Change], flags: int = 0) -> tuple[Changed, ...]:
        out = c_void_p()
        _call("sexton_change", self._handle, _changes(items), len(items), flags, byref(out))
        with Results(out.value) as results:
            return results.changed()

    def find(self, key: bytes, version: bytes = b"") -> Id:
        """Returns the live registration of a key, or of one version of it."""
        out = abi.sexton_id()
        _call("sexton_find", self._handle, _bytes(key), _bytes(version), byref(out))
        return Id(bytes(out.bytes))

    def submit_register(self, token: int, items: Sequence[Registration], flags: int = 0) -> None:
        """Submits registrations without waiting. `completions` has the answer, with this token."""
        _call("sexton_submit_register", self._handle, token, _registrations(items), len(items), flags)

    def submit_change(self, token: int, items: Sequence[Change], flags: int = 0) -> None:
        _call("sexton_submit_change", self._handle, token, _changes(items), len(items), flags)

    def completions(self) -> Iterator[Completion]:
        """Takes the completions that are available now."""
        while True:
            out = c_void_p()
            _call("sexton_next_completion", self._handle, byref(out))
            if out.value is None:
                return
            with Results(out.value) as results:
                yield results.completion()

    def fileno(self) -> int:
        """Returns a descriptor that is readable while a completion or a batch is available. It may only be polled."""
        return _number("sexton_event_fd", c_int, self._handle)

    def next_batch(self) -> Batch | None:
        out = c_void_p()
        _call("sexton_next_batch", self._handle, byref(out))
        if out.value is None:
            return None
        try:
            return _batch(out.value)
        finally:
            _lib.sexton_batch_free(out.value)

    def batches(self) -> Iterator[Batch]:
        """Takes the sub-batches that are available now."""
        while (batch := self.next_batch()) is not None:
            yield batch

    def complete(self, batch: Batch, answers: Iterable[tuple[int, Answer] | tuple[int, Answer, bytes]]) -> int:
        """Answers objects of a batch by their index in it. Returns the number of answers that counted."""
        given = list(answers)
        array = (abi.sexton_answer * len(given))()
        kept = []
        for entry, (index, answer, *detail) in zip(array, given):
            borrowed = _bytes(detail[0] if detail else b"")
            kept.append(borrowed._kept)
            entry.object, entry.answer, entry.detail = index, answer, borrowed
        id = abi.sexton_batch_id(batch.batch, batch.epoch, batch.index, batch.attempt)
        taken = c_size_t()
        _call("sexton_answer_objects", self._handle, byref(id), array, len(given), byref(taken))
        return taken.value

    def run(self, budget_ms: int) -> int:
        """Works in this thread, for `threads=0`. Returns when to call it again, in Unix ms."""
        next_ms = c_int64()
        _call("sexton_run", self._handle, budget_ms, byref(next_ms))
        return next_ms.value

    def place_hold(
        self,
        name: str,
        *,
        keys: Sequence[bytes],
        reason: str,
        author: str,
        review_ms: int,
        kind: int = HOLD_TEMPORARY,
    ) -> dict[str, Any]:
        borrowed = [_bytes(key) for key in keys]
        selector = abi.sexton_selector(abi.SELECT_KEYS, (abi.sexton_bytes * len(keys))(*borrowed), len(keys))
        texts = [_bytes(text) for text in (name, reason, author)]
        hold = abi.sexton_hold(texts[0], selector, kind, texts[1], texts[2], review_ms)
        return json.loads(_text("sexton_place_hold", self._handle, byref(hold)))

    def lift_hold(self, name: str, *, reason: str, author: str, grace_ms: int = 0) -> dict[str, Any]:
        texts = [_bytes(text) for text in (name, reason, author)]
        return json.loads(_text("sexton_lift_hold", self._handle, *texts, grace_ms))

    def holds(self) -> list[dict[str, Any]]:
        return json.loads(_text("sexton_holds", self._handle))

    def receipt(self, id: bytes, *, key: bytes | None = None, ticket: bytes | None = None) -> bytes:
        """Returns the proof that a registration ended. Its key or its ticket opens it."""
        if (key is None) == (ticket is None):
            raise ValueError("receipt() needs either the key or the ticket")
        kind, opener = (abi.OPENER_KEY, key) if key is not None else (abi.OPENER_TICKET, ticket)
        raw = _id_in(id)
        return _text("sexton_receipt", self._handle, byref(raw), kind, _bytes(opener or b""))

    def policy(self) -> bytes:
        """Returns a trust policy for the log of this engine."""
        return _text("sexton_policy", self._handle)

    def api(
        self,
        method: str,
        target: bytes,
        body: bytes = b"",
        *,
        content_type: bytes = b"",
        idempotency_key: bytes = b"",
        uid: int | None = None,
    ) -> tuple[int, bytes]:
        """Runs the operation of the API that an HTTP request names. Returns the HTTP status, and the body as JSON."""
        borrowed = [_bytes(value) for value in (method, target, content_type, idempotency_key, body)]
        request, status = abi.sexton_api_request(*borrowed), c_uint32()
        _set(request, "uid", uid)
        answer = _text("sexton_api", self._handle, byref(request), byref(status))
        return status.value, answer

    def set_control_socket(self, path: str | os.PathLike[str]) -> None:
        """Notes in the data folder where this process answers the API, so that `sexton` commands find it."""
        _call("sexton_set_control_socket", self._handle, _bytes(os.fsencode(path)))


class _BorrowedEngine(Engine):
    def __init__(self, handle: int):
        _Handle.__init__(self, handle)

    def free(self) -> None:
        self._handle = None


# ---- verification, which needs no engine ----


def verify(receipt: bytes, policy: bytes, now_ms: int | None = None) -> Verdict:
    """Verifies a receipt. Raises `Error` with `Status.NOT_VERIFIED` if it is not authentic or not witnessed.

    Cosignatures dated after `now_ms` (default: the time of this machine) do not count."""
    out = c_void_p()
    now_ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    _call("sexton_verify", _bytes(receipt), _bytes(policy), now_ms, byref(out))
    handle = out.value
    try:
        by_ms, start_ms, time_ms = (
            getattr(_lib, f"sexton_verdict_{name}")(handle) for name in ("by_ms", "start_ms", "time_ms")
        )
        bounds = []
        for name in ("floor_ms", "ceiling_ms"):
            ms = c_int64()
            bounds.append(ms.value if getattr(_lib, f"sexton_verdict_{name}")(handle, byref(ms)) else None)
        origin, class_name, key, method = (
            _copy(getattr(_lib, f"sexton_verdict_{name}")(handle)) for name in ("origin", "class", "key", "method")
        )
        id = Id(bytes(_lib.sexton_verdict_id(handle).bytes))
        compliance = Compliance(_lib.sexton_verdict_compliance(handle))
        times = (by_ms, start_ms, *bounds, time_ms)
        return Verdict(compliance, *times, origin.decode(), class_name.decode(), key, method.decode(), id)
    finally:
        _lib.sexton_verdict_free(handle)


def does_not_prove() -> list[str]:
    """Returns the limits of every receipt, to show beside each verdict."""
    sentences = []
    while (sentence := _lib.sexton_does_not_prove(len(sentences))) is not None:
        sentences.append(sentence.decode())
    return sentences
