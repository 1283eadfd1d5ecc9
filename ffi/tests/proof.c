/* Receipts and tickets, and their verification without an engine. */

#include "fixture.h"

static sexton_error *error;

/* Object that was deleted in time, with its receipt and the policy of its engine. */
typedef struct proof_case {
    sexton_engine *engine;
    sexton_id id;
    sexton_text *receipt, *policy;
} proof_case;

static proof_case make_case(const char *key) {
    proof_case ended;
    ended.engine = open_engine(NULL, 0);
    ended.id = register_object(ended.engine, "files", key);
    advance_ms(2 * SECOND_MS);
    CHECK_INT(1, delete_due(ended.engine));
    ended.receipt = get_receipt(ended.engine, ended.id, key);
    CHECK_OK(sexton_policy(ended.engine, &ended.policy, &error), error);
    return ended;
}

static void free_case(proof_case *ended) {
    sexton_text_free(ended->receipt);
    sexton_text_free(ended->policy);
    close_engine(ended->engine);
}

static void check_refused(int32_t expected, sexton_bytes receipt, sexton_bytes policy) {
    sexton_verdict *verdict = UNTOUCHED(sexton_verdict);
    CHECK_STATUS(expected, sexton_verify(receipt, policy, now_ms(), &verdict, &error), error);
    CHECK(verdict == UNTOUCHED(sexton_verdict));
}

TEST("NOT_VERIFIED: a receipt with one flipped bit in any byte") {
    proof_case ended = make_case("a");
    sexton_bytes text = sexton_text_bytes(ended.receipt);
    uint8_t *copy = malloc(text.len);
    size_t refused = 0, step = test_size(1, 7);
    CHECK(copy != NULL && text.len > 500);
    for (size_t i = 0; i < text.len; i += step) {
        sexton_verdict *verdict = NULL;
        memcpy(copy, text.data, text.len);
        copy[i] ^= 1;
        sexton_bytes flipped = {copy, text.len};
        int32_t status =
            sexton_verify(flipped, sexton_text_bytes(ended.policy), now_ms(), &verdict, &error);
        CHECK(status == SEXTON_NOT_VERIFIED && verdict == NULL);
        CHECK_STATUS(SEXTON_NOT_VERIFIED, status, error);
        refused++;
    }
    CHECK_INT((text.len + step - 1) / step, refused);
    free(copy);
    free_case(&ended);
}

TEST("a truncated, oversized or empty receipt is NOT_VERIFIED") {
    proof_case ended = make_case("a");
    sexton_bytes text = sexton_text_bytes(ended.receipt), policy = sexton_text_bytes(ended.policy);
    for (size_t len = 0; len < text.len; len += 97) {
        sexton_bytes cut = {text.data, len};
        check_refused(SEXTON_NOT_VERIFIED, cut, policy);
    }
    uint8_t *huge = calloc(1, 4 << 20);
    CHECK(huge != NULL);
    sexton_bytes too_long = {huge, 4 << 20};
    check_refused(SEXTON_NOT_VERIFIED, too_long, policy);
    free(huge);
    check_refused(SEXTON_NOT_VERIFIED, bytes(""), policy);
    check_refused(SEXTON_NOT_VERIFIED, bytes("a receipt"), policy);
    free_case(&ended);
}

TEST("another log's policy: NOT_VERIFIED; a malformed one: INVALID") {
    proof_case ended = make_case("a");
    sexton_options *options = test_options();
    sexton_engine *other = open_below("other", options);
    sexton_text *policy = NULL;
    CHECK_OK(sexton_policy(other, &policy, &error), error);
    check_refused(SEXTON_NOT_VERIFIED, sexton_text_bytes(ended.receipt), sexton_text_bytes(policy));
    check_refused(SEXTON_INVALID, sexton_text_bytes(ended.receipt), bytes("not a policy\n"));
    check_refused(SEXTON_INVALID, sexton_text_bytes(ended.receipt), bytes(""));
    sexton_text_free(policy);
    sexton_options_free(options);
    close_engine(other);
    free_case(&ended);
}

/* Reads a vector of proof/vectors/receipt.txt: the first whose name begins with `name`. The caller frees the bytes. */
static sexton_bytes read_vector(const char *name) {
    char path[4096];
    const char *folder = getenv("SEXTON_VECTORS");
    CHECK(folder != NULL);
    snprintf(path, sizeof path, "%s/receipt.txt", folder);
    FILE *file = fopen(path, "r");
    CHECK(file != NULL);
    char *line = NULL;
    size_t room = 0;
    sexton_bytes found = {NULL, 0};
    while (found.data == NULL && getline(&line, &room, file) > 0) {
        const char *hex = strchr(line, ' ');
        if (strncmp(line, name, strlen(name)) != 0 || hex == NULL) continue;
        uint8_t *bytes = malloc(strlen(hex));
        CHECK(bytes != NULL);
        unsigned byte;
        for (hex++; sscanf(hex, "%2x", &byte) == 1; hex += 2) bytes[found.len++] = (uint8_t)byte;
        found.data = bytes;
    }
    free(line);
    fclose(file);
    CHECK(found.data != NULL);
    return found;
}

/* Verifies the vector at this time, and checks that the message of a refusal has these words. */
static void check_witnessed(const char *name, int64_t at_ms, const char *refused_with) {
    sexton_bytes receipt = read_vector(name), policy = read_vector("policy");
    sexton_verdict *verdict = NULL;
    sexton_error *error = NULL;
    int32_t status = sexton_verify(receipt, policy, at_ms, &verdict, &error);
    if (refused_with == NULL) {
        CHECK_OK(status, error);
        CHECK_INT(SEXTON_COMPLIANCE_KEPT, sexton_verdict_compliance(verdict));
    } else {
        CHECK_INT(SEXTON_NOT_VERIFIED, status);
        sexton_bytes message = sexton_error_message(error);
        CHECK(memmem(message.data, message.len, refused_with, strlen(refused_with)) != NULL);
        sexton_error_free(error);
        CHECK(verdict == NULL);
    }
    sexton_verdict_free(verdict);
    free((void *)receipt.data);
    free((void *)policy.data);
}

TEST("NOT_VERIFIED: cosigned before the deletion, or after the caller's time") {
    const int64_t cosigned_ms = 1717200100000, slack_ms = 300 * SECOND_MS;
    check_witnessed("receipt.0 ", cosigned_ms, NULL);
    check_witnessed("receipt.0 ", cosigned_ms - slack_ms, NULL);
    check_witnessed("receipt.0 ", cosigned_ms - slack_ms - 1, "(after the verifier's time");
    check_witnessed("receipt.0 ", 0, "(after the verifier's time");
    check_witnessed("receipt.0 ", INT64_MAX, NULL);
    /* The first has no cosignature. The batch of the second ends an hour after its cosignature. */
    check_witnessed("reject.Quorum.1 ", INT64_MAX, "no witness of this policy");
    check_witnessed("reject.Quorum.11 ", INT64_MAX, "(before the deletion");
}

TEST("receipt refuses another key, unknown id or live object") {
    proof_case ended = make_case("a");
    sexton_text *text = NULL;
    sexton_id live = register_object(ended.engine, "files", "b"), unknown = {{1}};
    const sexton_bytes a = bytes("a"), b = bytes("b");
    CHECK_STATUS(SEXTON_INVALID,
                 sexton_receipt(ended.engine, &ended.id, SEXTON_OPENER_KEY, b, &text, &error),
                 error);
    CHECK_STATUS(SEXTON_NOT_FOUND,
                 sexton_receipt(ended.engine, &live, SEXTON_OPENER_KEY, b, &text, &error), error);
    CHECK_STATUS(SEXTON_NOT_FOUND,
                 sexton_receipt(ended.engine, &unknown, SEXTON_OPENER_KEY, a, &text, &error),
                 error);
    CHECK_STATUS(SEXTON_INVALID,
                 sexton_receipt(ended.engine, &ended.id, SEXTON_OPENER_TICKET, a, &text, &error),
                 error);
    CHECK_STATUS(SEXTON_INVALID, sexton_receipt(ended.engine, &ended.id, 3, a, &text, &error),
                 error);
    CHECK(text == NULL);
    free_case(&ended);
}

TEST("a deletion after the ceiling is late by the difference") {
    sexton_engine *engine = open_engine(NULL, 0);
    sexton_id id = register_object(engine, "files", "a");
    advance_ms(DAY_MS + 5 * MINUTE_MS);
    CHECK_INT(1, delete_due(engine));
    sexton_text *text = get_receipt(engine, id, "a");
    sexton_verdict *verdict = verify_receipt(engine, text);
    CHECK_INT(SEXTON_COMPLIANCE_LATE, sexton_verdict_compliance(verdict));
    CHECK_INT(5 * MINUTE_MS, sexton_verdict_by_ms(verdict));
    int64_t floor_ms = 0, ceiling_ms = 0;
    CHECK(sexton_verdict_floor_ms(verdict, &floor_ms));
    CHECK(sexton_verdict_ceiling_ms(verdict, &ceiling_ms));
    CHECK_INT(NEW_YEAR_MS + SECOND_MS, floor_ms);
    CHECK_INT(NEW_YEAR_MS + DAY_MS, ceiling_ms);
    sexton_verdict_free(verdict);
    sexton_text_free(text);
    close_engine(engine);
}

/* Registers in the class with openings = "ticket". The ticket belongs to the returned results. */
static sexton_results *put_ticketed(sexton_engine *engine, const char *key, sexton_id *id,
                                    sexton_bytes *ticket) {
    sexton_registration object = make_registration("ticketed", key);
    sexton_results *results = NULL;
    size_t len;
    CHECK_OK(sexton_register(engine, &object, 1, 0, &results, &error), error);
    const sexton_registered *answer = sexton_results_registered(results, &len);
    CHECK(answer->ticket.len > 0);
    *id = answer->id;
    *ticket = answer->ticket;
    return results;
}

TEST("only the own ticket opens a receipt of a ticket class") {
    sexton_engine *engine = define_classes(open_engine(NULL, 0), CLASS_TICKETED);
    sexton_id a_id, b_id;
    sexton_bytes a_ticket, b_ticket;
    sexton_results *a = put_ticketed(engine, "a", &a_id, &a_ticket);
    sexton_results *b = put_ticketed(engine, "b", &b_id, &b_ticket);
    sexton_text *text = NULL;
    advance_ms(2 * SECOND_MS);
    CHECK_INT(2, delete_due(engine));
    CHECK_STATUS(SEXTON_NOT_FOUND,
                 sexton_receipt(engine, &a_id, SEXTON_OPENER_KEY, bytes("a"), &text, &error),
                 error);
    CHECK_STATUS(SEXTON_INVALID,
                 sexton_receipt(engine, &a_id, SEXTON_OPENER_TICKET, b_ticket, &text, &error),
                 error);
    CHECK_OK(sexton_receipt(engine, &a_id, SEXTON_OPENER_TICKET, a_ticket, &text, &error), error);
    sexton_verdict *verdict = verify_receipt(engine, text);
    CHECK_INT(SEXTON_COMPLIANCE_KEPT, sexton_verdict_compliance(verdict));
    CHECK_TEXT("a", sexton_verdict_key(verdict));
    sexton_verdict_free(verdict);
    sexton_text_free(text);
    sexton_results_free(a);
    sexton_results_free(b);
    close_engine(engine);
}

TEST("a change returns a new ticket, which opens the receipt") {
    sexton_engine *engine = define_classes(open_engine(NULL, 0), CLASS_TICKETED);
    sexton_id id;
    sexton_bytes old;
    sexton_results *first = put_ticketed(engine, "a", &id, &old), *results = NULL;
    sexton_object_change later = SEXTON_OBJECT_CHANGE_INIT;
    later.kind = SEXTON_RESCHEDULE;
    later.key = bytes("a");
    later.has_start = true;
    later.start_ms = now_ms() + HOUR_MS;
    sexton_text *text = NULL;
    size_t len;
    CHECK_OK(sexton_change(engine, &later, 1, 0, &results, &error), error);
    const sexton_changed *changed = sexton_results_changed(results, &len);
    CHECK_INT(SEXTON_OK, changed->status);
    CHECK(changed->ticket.len > 0 && !bytes_equal(old, changed->ticket));
    advance_ms(HOUR_MS + 2 * SECOND_MS);
    CHECK_INT(1, delete_due(engine));
    CHECK_OK(sexton_receipt(engine, &id, SEXTON_OPENER_TICKET, changed->ticket, &text, &error),
             error);
    sexton_text_free(text);
    sexton_results_free(first);
    sexton_results_free(results);
    close_engine(engine);
}
