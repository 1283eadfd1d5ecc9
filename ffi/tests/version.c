/* Functions that need no engine: versions, status names, ids as text. */

#include "fixture.h"

/* Reads one number of a version; `rest` is set behind its dot. */
static int32_t read_number(const char *text, const char **rest) {
    char *end;
    long number = strtol(text, &end, 10);
    CHECK(end != text);
    *rest = *end == '.' ? end + 1 : end;
    return (int32_t)number;
}

TEST("version_number equals the packed version of the header") {
    CHECK_INT(SEXTON_VERSION_MAJOR * 1000000 + SEXTON_VERSION_MINOR * 1000 + SEXTON_VERSION_PATCH,
              SEXTON_VERSION_NUMBER);
    CHECK_INT(SEXTON_VERSION_NUMBER, sexton_version_number());
#if SEXTON_VERSION_NUMBER < 1000
#error "a preprocessor can compare the packed version"
#endif
}

TEST("version equals that of header, pkg-config and sources") {
    const char *rest = sexton_version();
    const char *sources = getenv("SEXTON_SOURCE_VERSION"),
               *pkg_config = getenv("SEXTON_PC_VERSION");
    CHECK_INT(SEXTON_VERSION_MAJOR, read_number(rest, &rest));
    CHECK_INT(SEXTON_VERSION_MINOR, read_number(rest, &rest));
    CHECK_INT(SEXTON_VERSION_PATCH, read_number(rest, &rest));
    CHECK_INT(0, strlen(rest));
    CHECK(sources != NULL && strcmp(sources, sexton_version()) == 0);
    CHECK(pkg_config != NULL && strcmp(pkg_config, sexton_version()) == 0);
}

TEST("status_name of a number without status is \"unknown\"") {
    static const char *const names[] = {"SEXTON_OK",       "SEXTON_INVALID",     "SEXTON_NOT_FOUND",
                                        "SEXTON_HELD",     "SEXTON_TOO_LATE",    "SEXTON_BUSY",
                                        "SEXTON_FULL",     "SEXTON_IO",          "SEXTON_CORRUPT",
                                        "SEXTON_FORKED",   "SEXTON_POISONED",    "SEXTON_CLOSED",
                                        "SEXTON_INTERNAL", "SEXTON_NOT_VERIFIED"};
    const int32_t count = (int32_t)(sizeof names / sizeof *names);
    for (int32_t status = 0; status < count; status++) {
        CHECK_TEXT(names[status], bytes(sexton_status_name(status)));
    }
    CHECK_TEXT("unknown", bytes(sexton_status_name(count)));
    CHECK_TEXT("unknown", bytes(sexton_status_name(-1)));
    CHECK_TEXT("unknown", bytes(sexton_status_name(INT32_MAX)));
}

TEST("id_format gives 40 hex digits, which id_parse reads back") {
    sexton_id id, back;
    sexton_text *text = NULL;
    sexton_error *error = NULL;
    for (size_t i = 0; i < SEXTON_ID_BYTES; i++) {
        id.bytes[i] = (uint8_t)(i * 13);
    }
    CHECK_OK(sexton_id_format(&id, &text, &error), error);
    CHECK_TEXT("000d1a2734414e5b6875828f9ca9b6c3d0ddeaf7", sexton_text_bytes(text));
    CHECK_OK(sexton_id_parse(sexton_text_bytes(text), &back, &error), error);
    CHECK(ids_equal(id, back));
    sexton_text_free(text);
}

TEST("id_parse of malformed text is INVALID and writes nothing") {
    static const char *const wrong[] = {"",
                                        "00",
                                        "000d1a2734414e5b6875828f9ca9b6c3d0ddea",
                                        "000d1a2734414e5b6875828f9ca9b6c3d0ddeaf700",
                                        "000d1a2734414e5b6875828f9ca9b6c3d0ddeafg",
                                        " 00d1a2734414e5b6875828f9ca9b6c3d0ddeaf7"};
    sexton_error *error = NULL;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        sexton_id id = {{42}};
        CHECK_STATUS(SEXTON_INVALID, sexton_id_parse(bytes(wrong[i]), &id, &error), error);
        CHECK_INT(42, id.bytes[0]);
    }
    sexton_id id = {{42}};
    const uint8_t binary[40] = {0xff, 0xfe, 0};
    sexton_bytes not_text = {binary, sizeof binary};
    CHECK_STATUS(SEXTON_INVALID, sexton_id_parse(not_text, &id, &error), error);
    CHECK_INT(42, id.bytes[0]);
}

TEST("does_not_prove gives seven sentences, then NULL") {
    size_t count = 0;
    while (sexton_does_not_prove(count) != NULL) {
        const char *sentence = sexton_does_not_prove(count);
        CHECK(strncmp(sentence, "It does not prove that ", 23) == 0);
        CHECK_INT('.', sentence[strlen(sentence) - 1]);
        count++;
    }
    CHECK_INT(7, count);
    CHECK(sexton_does_not_prove(count + 1) == NULL);
    CHECK(sexton_does_not_prove(SIZE_MAX) == NULL);
}
