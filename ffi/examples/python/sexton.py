"""libsexton from Python, by ctypes and the standard library alone.

Sexton deletes stored objects inside promised windows and proves it. This module is a thin layer over its C interface:
what `sexton.h` says holds here too. A function that fails raises `Error`, with the status and the sentence; handles are
freed by the `with` statement, or when Python forgets them; what C returns as JSON is parsed.

    with Options(origin="example.com/uploads", classes=CLASSES) as options, Engine("data", options) as engine:
        [told] = engine.register([Registration(b"cat.jpg", "uploads")])
        for batch in engine.batches():
            engine.complete(batch, [(i, Answer.DELETED) for i, _ in enumerate(batch.objects)])
        proof = engine.receipt(told.id, key=b"cat.jpg")
    verdict = verify(proof, policy)

The library is looked for at $SEXTON_LIBRARY, then as libsexton.so.0 where the system looks for libraries.
"""

from __future__ import annotations

import ctypes
import json
import os
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from ctypes import byref, c_char_p, c_int, c_int32, c_int64, c_size_t, c_uint8, c_void_p
from dataclasses import dataclass
from typing import Any

import sexton_abi as abi

# What programs need of it, under this module's name.
from sexton_abi import BUFFERED, HOLD_EVENT, HOLD_TEMPORARY, ID_BYTES, NO_CEILING_MS, ONLY_MISSING, RELEASE, RESCHEDULE
from sexton_abi import SIZE_UNKNOWN, START, UNKNOWN_MS, Answer, Earlier, Outcome, State, Status
from sexton_abi import lib as _lib

# ---- between the two languages ----


class Error(Exception):
    """A call that failed: `status` says what to do, the text what happened."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = Status(status)


def _bytes(value: bytes | str) -> abi.sexton_bytes:
    """Borrowed bytes, which keep alive what they point into."""
    raw = value.encode() if isinstance(value, str) else value
    borrowed = abi.sexton_bytes(ctypes.cast(c_char_p(raw), c_void_p), len(raw))
    borrowed._kept = raw  # type: ignore[attr-defined]
    return borrowed


def _copy(value: abi.sexton_bytes) -> bytes:
    return ctypes.string_at(value.data, value.len) if value.len else b""


def _call(name: str, *arguments: Any) -> None:
    """Calls a function whose last argument is the error; raises it."""
    error = c_void_p()
    status = getattr(_lib, name)(*arguments, byref(error))
    if status == Status.OK:
        return
    message = _copy(_lib.sexton_error_message(error)).decode(errors="replace")
    _lib.sexton_error_free(error)
    raise Error(status, message)


def _text(name: str, *arguments: Any) -> bytes:
    """The same where the last but one is a text."""
    text = c_void_p()
    _call(name, *arguments, byref(text))
    try:
        return _copy(_lib.sexton_text_bytes(text))
    finally:
        _lib.sexton_text_free(text)


def _number(name: str, kind: type, *arguments: Any) -> int:
    out = kind()
    _call(name, *arguments, byref(out))
    return out.value


class _Handle:
    """Something of the library's that is to be freed once."""

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
        # Where the library was not found there is nothing to free.
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
        raise ValueError(f"a registration id of {len(value)} bytes; it has {ID_BYTES}")
    return abi.sexton_id((c_uint8 * ID_BYTES)(*value))


@dataclass(frozen=True)
class Registration:
    """An object to be registered."""

    key: bytes
    class_name: str
    version: bytes = b""
    digest: bytes = b""
    subject: bytes = b""
    start_ms: int = UNKNOWN_MS
    size_bytes: int = SIZE_UNKNOWN


@dataclass(frozen=True)
class Registered:
    """The answer to a registration."""

    id: Id
    earlier: Earlier
    earlier_id: Id
    ticket: bytes


@dataclass(frozen=True)
class Change:
    """What is said of a registered object: of `key`, or of `id`."""

    kind: int
    key: bytes = b""
    id: bytes = bytes(ID_BYTES)
    class_name: str = ""
    start_ms: int = UNKNOWN_MS


@dataclass(frozen=True)
class Changed:
    """The answer to a change; one that was not made has a status and a sentence."""

    status: Status
    id: Id
    floor_ms: int
    ceiling_ms: int
    ticket: bytes
    message: str


@dataclass(frozen=True)
class Object:
    """An object that is to be deleted."""

    id: Id
    key: bytes
    version: bytes
    digest: bytes
    size_bytes: int
    floor_ms: int
    ceiling_ms: int


@dataclass(frozen=True)
class Batch:
    """A sub-batch, copied: it outlives whatever handed it over."""

    batch: int
    epoch: int
    part: int
    attempt: int
    class_name: str
    disposition: int
    objects: tuple[Object, ...]


@dataclass(frozen=True)
class Completion:
    """What became of a call that was submitted."""

    token: int
    status: Status
    message: str
    registered: tuple[Registered, ...]
    changed: tuple[Changed, ...]


@dataclass(frozen=True)
class Verdict:
    """What an authentic receipt says."""

    outcome: Outcome
    by_ms: int
    start_ms: int
    floor_ms: int
    ceiling_ms: int
    time_ms: int
    origin: str
    class_name: str
    key: bytes
    method: str
    id: Id


class Results(_Handle):
    """The answers of a call, still in the library's memory."""

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


def _registered(item: abi.sexton_registered) -> Registered:
    ids = Id(bytes(item.id.bytes)), Id(bytes(item.earlier_id.bytes))
    return Registered(ids[0], Earlier(item.earlier), ids[1], _copy(item.ticket))


def _changed(item: abi.sexton_changed) -> Changed:
    status, id, message = Status(item.status), Id(bytes(item.id.bytes)), _copy(item.message).decode()
    return Changed(status, id, item.floor_ms, item.ceiling_ms, _copy(item.ticket), message)


def _registrations(items: Sequence[Registration]) -> Any:
    array = (abi.sexton_registration * len(items))()
    array._kept = []
    for place, item in zip(array, items):
        for field in ("key", "class_name", "version", "digest", "subject"):
            borrowed = _bytes(getattr(item, field))
            array._kept.append(borrowed._kept)
            setattr(place, field, borrowed)
        place.start_ms, place.size_bytes = item.start_ms, item.size_bytes
    return array


def _changes(items: Sequence[Change]) -> Any:
    array = (abi.sexton_change * len(items))()
    array._kept = []
    for place, item in zip(array, items):
        for field in ("key", "class_name"):
            borrowed = _bytes(getattr(item, field))
            array._kept.append(borrowed._kept)
            setattr(place, field, borrowed)
        place.kind, place.id, place.start_ms = item.kind, _id_in(item.id), item.start_ms
    return array


def _batch(handle: int) -> Batch:
    """Copies a sub-batch, which stays whose it was."""
    n = c_size_t()
    id, items = _lib.sexton_batch_get_id(handle), _lib.sexton_batch_objects(handle, byref(n))
    objects = tuple(
        Object(
            Id(bytes(item.id.bytes)),
            _copy(item.key),
            _copy(item.version),
            _copy(item.digest),
            item.size_bytes,
            item.floor_ms,
            item.ceiling_ms,
        )
        for item in (items[i] for i in range(n.value))
    )
    class_name, disposition = _copy(_lib.sexton_batch_class(handle)).decode(), _lib.sexton_batch_disposition(handle)
    return Batch(id.batch, id.epoch, id.part, id.attempt, class_name, disposition, objects)


# ---- options and engine ----


class Options(_Handle):
    """Options by name, as in sexton.h, and the host's functions.

    `delete` is called with the engine and a batch, from a thread of the library's; `log` with a level and a line;
    `clock` gives wall and monotonic milliseconds.
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
        self._kept: list[Any] = []  # C holds no reference to our functions
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
            # It cannot go through C; what was not answered counts as failed, and comes again.
            traceback.print_exc()
            return 1

    return called


class Engine(_Handle):
    """An open engine. Its methods may be called from many threads at once."""

    _free = "sexton_engine_free"

    def __init__(self, folder: str | os.PathLike[str], options: Options):
        super().__init__(None)
        self._kept = options._kept
        out = c_void_p()
        _call("sexton_open", _bytes(os.fsencode(folder)), options._handle, byref(out))
        self._handle = out.value

    @classmethod
    def _borrowed(cls, handle: int) -> Engine:
        """The engine inside a callback, which does not end it."""
        return _BorrowedEngine(handle)

    def close(self) -> None:
        """Waits for running calls; from then on every call fails with `Status.CLOSED`."""
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
        """Registers all or, where one is invalid, none; returns when they are durable."""
        out = c_void_p()
        _call("sexton_register", self._handle, _registrations(items), len(items), flags, byref(out))
        with Results(out.value) as results:
            return results.registered()

    def change(self, items: Sequence[Change], flags: int = 0) -> tuple[Changed, ...]:
        out = c_void_p()
        _call("sexton_change_all", self._handle, _changes(items), len(items), flags, byref(out))
        with Results(out.value) as results:
            return results.changed()

    def find(self, key: bytes) -> Id:
        out = abi.sexton_id()
        _call("sexton_find", self._handle, _bytes(key), byref(out))
        return Id(bytes(out.bytes))

    def submit_register(self, token: int, items: Sequence[Registration], flags: int = 0) -> None:
        """The same without waiting: `completions` has the answer, under the token."""
        _call("sexton_submit_register", self._handle, token, _registrations(items), len(items), flags)

    def submit_change(self, token: int, items: Sequence[Change], flags: int = 0) -> None:
        _call("sexton_submit_change", self._handle, token, _changes(items), len(items), flags)

    def completions(self) -> Iterator[Completion]:
        """Those that can be taken now."""
        while True:
            out = c_void_p()
            _call("sexton_next_completion", self._handle, byref(out))
            if out.value is None:
                return
            with Results(out.value) as results:
                yield results.completion()

    def fileno(self) -> int:
        """Readable while there is a completion or a batch: for `select`, `selectors` and `asyncio`. Only poll it."""
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
        """Those that can be taken now."""
        while (batch := self.next_batch()) is not None:
            yield batch

    def complete(self, batch: Batch, answers: Iterable[tuple[int, Answer] | tuple[int, Answer, bytes]]) -> int:
        """Answers for objects of a batch by their place in it; how many answers counted."""
        given = list(answers)
        array = (abi.sexton_answer * len(given))()
        kept = []
        for place, (number, answer, *detail) in zip(array, given):
            borrowed = _bytes(detail[0] if detail else b"")
            kept.append(borrowed._kept)
            place.object, place.answer, place.detail = number, answer, borrowed
        id = abi.sexton_batch_id(batch.batch, batch.epoch, batch.part, batch.attempt)
        taken = c_size_t()
        _call("sexton_complete", self._handle, byref(id), array, len(given), byref(taken))
        return taken.value

    def run(self, budget_ms: int) -> int:
        """Without threads of its own (`threads=0`): works for a while; when it wants to be called again, Unix ms."""
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
        """The proof that a registration ended, opened by its key or its ticket."""
        if (key is None) == (ticket is None):
            raise ValueError("a receipt is opened by the key or by the ticket: give one of them")
        kind, opener = (abi.OPENER_KEY, key) if key is not None else (abi.OPENER_TICKET, ticket)
        raw = _id_in(id)
        return _text("sexton_receipt", self._handle, byref(raw), kind, _bytes(opener or b""))

    def policy(self) -> bytes:
        """What a verifier needs to trust this engine's log."""
        return _text("sexton_policy", self._handle)


class _BorrowedEngine(Engine):
    def __init__(self, handle: int):
        _Handle.__init__(self, handle)

    def free(self) -> None:
        self._handle = None


# ---- verifying, which needs no engine ----


def verify(receipt: bytes, policy: bytes) -> Verdict:
    """What the receipt says, where it is authentic; else `Error` with `Status.NOT_VERIFIED`."""
    out = c_void_p()
    _call("sexton_verify", _bytes(receipt), _bytes(policy), byref(out))
    handle = out.value
    try:
        numbers = [getattr(_lib, f"sexton_verdict_{name}")(handle) for name in ("by_ms", "start_ms", "floor_ms")]
        numbers += [getattr(_lib, f"sexton_verdict_{name}")(handle) for name in ("ceiling_ms", "time_ms")]
        origin, class_name, key, method = (
            _copy(getattr(_lib, f"sexton_verdict_{name}")(handle)) for name in ("origin", "class", "key", "method")
        )
        id = Id(bytes(_lib.sexton_verdict_id(handle).bytes))
        outcome = Outcome(_lib.sexton_verdict_outcome(handle))
        return Verdict(outcome, *numbers, origin.decode(), class_name.decode(), key, method.decode(), id)
    finally:
        _lib.sexton_verdict_free(handle)


def does_not_prove() -> list[str]:
    """What no receipt proves: to be shown beside every verdict."""
    sentences = []
    while (sentence := _lib.sexton_does_not_prove(len(sentences))) is not None:
        sentences.append(sentence.decode())
    return sentences
