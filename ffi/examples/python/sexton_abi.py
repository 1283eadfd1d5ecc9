"""C interface of libsexton for ctypes: constants, structs and functions, named as in `sexton.h`.

test_sexton.py compares this file with the header. Python programs use the module `sexton`.
"""

from __future__ import annotations

import ctypes
import enum
import os
from ctypes import POINTER, Structure, c_bool, c_char_p, c_int, c_int32, c_int64, c_size_t, c_uint8, c_uint32, c_uint64
from ctypes import c_void_p
from typing import Any

# ---- constants, as in sexton.h ----

VERSION_MAJOR, VERSION_MINOR, VERSION_PATCH, VERSION_NUMBER = 0, 1, 0, 1000
NEVER_MS = 2**63 - 1
ID_BYTES = 20
BUFFERED, ONLY_MISSING = 1, 2
DELETE, ANONYMISE = 1, 2
START, RESCHEDULE, RELEASE, CONTENT, RENAME = 1, 2, 3, 4, 5
SELECT_KEYS, SELECT_PREFIX, SELECT_SUBJECT, SELECT_CLASS, SELECT_EVERYTHING = 1, 2, 3, 4, 5
HOLD_TEMPORARY, HOLD_EVENT = 1, 2
OPENER_KEY, OPENER_TICKET = 1, 2
API_BODY_BYTES_MAX = 8_388_608
LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG = 1, 2, 3, 4


class Status(enum.IntEnum):
    """Status that a function returned."""

    OK = 0
    INVALID = 1
    NOT_FOUND = 2
    HELD = 3
    TOO_LATE = 4
    BUSY = 5
    FULL = 6
    IO = 7
    CORRUPT = 8
    FORKED = 9
    POISONED = 10
    CLOSED = 11
    INTERNAL = 12
    NOT_VERIFIED = 13


class Answer(enum.IntEnum):
    """Outcome for one object: a fact that a power failure cannot undo."""

    DELETED = 1
    ANONYMISED = 2
    ABSENT = 3
    CHANGED = 4
    REFUSED = 5
    FAILED = 6
    REQUESTED = 7


class Previous(enum.IntEnum):
    """Effect on an earlier live registration of the key."""

    NONE = 0
    REPLACED = 1
    TOO_LATE = 2
    IDENTICAL = 3
    KEPT = 4


class Compliance(enum.IntEnum):
    """Result of a promise."""

    KEPT = 1
    EARLY = 2
    LATE = 3
    AFTER_HOLD = 4
    NOT_A_DELETION = 5


class State(enum.IntEnum):
    """State of the engine."""

    RUNNING = 1
    PAUSED = 2
    FORKED = 3
    POISONED = 4


# Prefixes of the enumerations above in the header.
ENUMERATIONS = {"": Status, "ANSWER_": Answer, "PREVIOUS_": Previous, "COMPLIANCE_": Compliance, "STATE_": State}


# ---- structs, field for field as in sexton.h ----


class sexton_bytes(Structure):
    _fields_ = [("data", c_void_p), ("len", c_size_t)]


class sexton_id(Structure):
    _fields_ = [("bytes", c_uint8 * ID_BYTES)]


class sexton_registration(Structure):
    _fields_ = [
        ("key", sexton_bytes),
        ("class_name", sexton_bytes),
        ("version", sexton_bytes),
        ("digest", sexton_bytes),
        ("subject", sexton_bytes),
        ("has_start", c_bool),
        ("has_size", c_bool),
        ("start_ms", c_int64),
        ("size_bytes", c_uint64),
    ]


class sexton_registered(Structure):
    _fields_ = [
        ("status", c_int32),
        ("previous", c_int32),
        ("id", sexton_id),
        ("previous_id", sexton_id),
        ("ticket", sexton_bytes),
    ]


class sexton_object_change(Structure):
    _fields_ = [
        ("kind", c_int32),
        ("key", sexton_bytes),
        ("of_version", sexton_bytes),
        ("id", sexton_id),
        ("class_name", sexton_bytes),
        ("has_start", c_bool),
        ("start_ms", c_int64),
        ("version", sexton_bytes),
        ("has_size", c_bool),
        ("size_bytes", c_uint64),
        ("new_key", sexton_bytes),
    ]


class sexton_changed(Structure):
    _fields_ = [
        ("status", c_int32),
        ("id", sexton_id),
        ("has_floor", c_bool),
        ("has_ceiling", c_bool),
        ("floor_ms", c_int64),
        ("ceiling_ms", c_int64),
        ("ticket", sexton_bytes),
        ("message", sexton_bytes),
    ]


class sexton_object(Structure):
    _fields_ = [
        ("id", sexton_id),
        ("key", sexton_bytes),
        ("first_key", sexton_bytes),
        ("version", sexton_bytes),
        ("digest", sexton_bytes),
        ("has_size", c_bool),
        ("has_floor", c_bool),
        ("has_ceiling", c_bool),
        ("size_bytes", c_uint64),
        ("floor_ms", c_int64),
        ("ceiling_ms", c_int64),
    ]


class sexton_batch_id(Structure):
    _fields_ = [("batch", c_uint64), ("epoch", c_uint64), ("index", c_uint32), ("attempt", c_uint32)]


class sexton_answer(Structure):
    _fields_ = [("object", c_uint32), ("answer", c_int32), ("detail", sexton_bytes)]


class sexton_selector(Structure):
    _fields_ = [("kind", c_int32), ("values", POINTER(sexton_bytes)), ("len", c_size_t)]


class sexton_hold(Structure):
    _fields_ = [
        ("name", sexton_bytes),
        ("selector", sexton_selector),
        ("kind", c_int32),
        ("reason", sexton_bytes),
        ("author", sexton_bytes),
        ("review_ms", c_int64),
    ]


class sexton_api_request(Structure):
    _fields_ = [
        ("method", sexton_bytes),
        ("target", sexton_bytes),
        ("content_type", sexton_bytes),
        ("idempotency_key", sexton_bytes),
        ("body", sexton_bytes),
        ("has_uid", c_bool),
        ("uid", c_uint32),
    ]


STRUCTS: tuple[type[Structure], ...] = (
    sexton_bytes,
    sexton_id,
    sexton_registration,
    sexton_registered,
    sexton_object_change,
    sexton_changed,
    sexton_object,
    sexton_batch_id,
    sexton_answer,
    sexton_selector,
    sexton_hold,
    sexton_api_request,
)

LogFunction = ctypes.CFUNCTYPE(None, c_void_p, c_int32, sexton_bytes)
DeleteFunction = ctypes.CFUNCTYPE(c_int32, c_void_p, c_void_p, c_void_p)
ClockFunction = ctypes.CFUNCTYPE(c_int64, c_void_p)

# ---- functions: result, arguments ----

_handle, _handle_out, _error_out, _text_out = c_void_p, POINTER(c_void_p), POINTER(c_void_p), POINTER(c_void_p)
_id = POINTER(sexton_id)

FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "sexton_version_number": (c_uint32, []),
    "sexton_version": (c_char_p, []),
    "sexton_status_name": (c_char_p, [c_int32]),
    "sexton_error_status": (c_int32, [_handle]),
    "sexton_error_message": (sexton_bytes, [_handle]),
    "sexton_error_free": (None, [_handle]),
    "sexton_text_bytes": (sexton_bytes, [_handle]),
    "sexton_text_free": (None, [_handle]),
    "sexton_id_parse": (c_int32, [sexton_bytes, _id, _error_out]),
    "sexton_id_format": (c_int32, [_id, _text_out, _error_out]),
    "sexton_options_new": (c_void_p, []),
    "sexton_options_free": (None, [_handle]),
    "sexton_options_set": (c_int32, [_handle, sexton_bytes, sexton_bytes, _error_out]),
    "sexton_options_set_log": (c_int32, [_handle, LogFunction, c_void_p, _error_out]),
    "sexton_options_set_delete": (c_int32, [_handle, DeleteFunction, c_void_p, _error_out]),
    "sexton_options_set_clock": (c_int32, [_handle, ClockFunction, ClockFunction, c_void_p, _error_out]),
    "sexton_open": (c_int32, [sexton_bytes, _handle, _handle_out, _error_out]),
    "sexton_close": (c_int32, [_handle, _error_out]),
    "sexton_engine_free": (None, [_handle]),
    "sexton_now_ms": (c_int32, [_handle, POINTER(c_int64), _error_out]),
    "sexton_register": (
        c_int32,
        [_handle, POINTER(sexton_registration), c_size_t, c_uint32, _handle_out, _error_out],
    ),
    "sexton_change": (c_int32, [_handle, POINTER(sexton_object_change), c_size_t, c_uint32, _handle_out, _error_out]),
    "sexton_find": (c_int32, [_handle, sexton_bytes, sexton_bytes, _id, _error_out]),
    "sexton_results_registered": (POINTER(sexton_registered), [_handle, POINTER(c_size_t)]),
    "sexton_results_changed": (POINTER(sexton_changed), [_handle, POINTER(c_size_t)]),
    "sexton_results_free": (None, [_handle]),
    "sexton_submit_register": (
        c_int32,
        [_handle, c_uint64, POINTER(sexton_registration), c_size_t, c_uint32, _error_out],
    ),
    "sexton_submit_change": (
        c_int32,
        [_handle, c_uint64, POINTER(sexton_object_change), c_size_t, c_uint32, _error_out],
    ),
    "sexton_next_completion": (c_int32, [_handle, _handle_out, _error_out]),
    "sexton_results_token": (c_uint64, [_handle]),
    "sexton_results_status": (c_int32, [_handle]),
    "sexton_results_message": (sexton_bytes, [_handle]),
    "sexton_event_fd": (c_int32, [_handle, POINTER(c_int), _error_out]),
    "sexton_next_batch": (c_int32, [_handle, _handle_out, _error_out]),
    "sexton_batch_get_id": (sexton_batch_id, [_handle]),
    "sexton_batch_class": (sexton_bytes, [_handle]),
    "sexton_batch_disposition": (c_int32, [_handle]),
    "sexton_batch_objects": (POINTER(sexton_object), [_handle, POINTER(c_size_t)]),
    "sexton_batch_free": (None, [_handle]),
    "sexton_answer_objects": (
        c_int32,
        [_handle, POINTER(sexton_batch_id), POINTER(sexton_answer), c_size_t, POINTER(c_size_t), _error_out],
    ),
    "sexton_run": (c_int32, [_handle, c_uint32, POINTER(c_int64), _error_out]),
    "sexton_place_hold": (c_int32, [_handle, POINTER(sexton_hold), _text_out, _error_out]),
    "sexton_lift_hold": (
        c_int32,
        [_handle, sexton_bytes, sexton_bytes, sexton_bytes, c_int64, _text_out, _error_out],
    ),
    "sexton_holds": (c_int32, [_handle, _text_out, _error_out]),
    "sexton_state": (c_int32, [_handle, POINTER(c_int32), _error_out]),
    "sexton_status": (c_int32, [_handle, _text_out, _error_out]),
    "sexton_next_due_ms": (c_int32, [_handle, POINTER(c_int64), _error_out]),
    "sexton_receipt": (c_int32, [_handle, _id, c_int32, sexton_bytes, _text_out, _error_out]),
    "sexton_api": (
        c_int32,
        [_handle, POINTER(sexton_api_request), POINTER(c_uint32), _text_out, _error_out],
    ),
    "sexton_set_control_socket": (c_int32, [_handle, sexton_bytes, _error_out]),
    "sexton_policy": (c_int32, [_handle, _text_out, _error_out]),
    "sexton_verify": (c_int32, [sexton_bytes, sexton_bytes, c_int64, _handle_out, _error_out]),
    "sexton_verdict_compliance": (c_int32, [_handle]),
    "sexton_verdict_by_ms": (c_uint64, [_handle]),
    "sexton_verdict_start_ms": (c_int64, [_handle]),
    "sexton_verdict_floor_ms": (c_bool, [_handle, POINTER(c_int64)]),
    "sexton_verdict_ceiling_ms": (c_bool, [_handle, POINTER(c_int64)]),
    "sexton_verdict_time_ms": (c_int64, [_handle]),
    "sexton_verdict_origin": (sexton_bytes, [_handle]),
    "sexton_verdict_class": (sexton_bytes, [_handle]),
    "sexton_verdict_key": (sexton_bytes, [_handle]),
    "sexton_verdict_method": (sexton_bytes, [_handle]),
    "sexton_verdict_id": (sexton_id, [_handle]),
    "sexton_does_not_prove": (c_char_p, [c_size_t]),
    "sexton_verdict_free": (None, [_handle]),
}


def _load() -> ctypes.CDLL:
    library = ctypes.CDLL(os.environ.get("SEXTON_LIBRARY", "libsexton.so.0"))
    for name, (result, arguments) in FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    if library.sexton_version_number() // 1000 != VERSION_NUMBER // 1000:
        found = library.sexton_version().decode()
        raise ImportError(f"found libsexton {found}; this module needs {VERSION_MAJOR}.{VERSION_MINOR}")
    return library


lib = _load()
