/* Receipts, tickets and their verification, which needs no engine. */

#include "site.h"

static sexton_error *error;

/* A receipt with its policy, of one object that was deleted in time. */
typedef struct proved {
    sexton_engine *engine;
    sexton_id id;
    sexton_text *receipt, *policy;
} proved;

static proved prove(const char *key) {
    proved one;
    one.engine = open_site(NULL, 0);
    one.id = put(one.engine, "files", key);
    pass_ms(2 * SECOND_MS);
    CHECK_INT(1, delete_due(one.engine));
    one.receipt = receipt(one.engine, one.id, key);
    CHECK_OK(sexton_policy(one.engine, &one.policy, &error), error);
    return one;
}

static void forget(proved *one) {
    sexton_text_free(one->receipt);
    sexton_text_free(one->policy);
    close_site(one->engine);
}

static void check_refused(int32_t expected, sexton_bytes receipt, sexton_bytes policy) {
    char untouched;
    sexton_verdict *verdict = (sexton_verdict *)(void *)&untouched;
    CHECK_STATUS(expected, sexton_verify(receipt, policy, &verdict, &error), error);
    CHECK((void *)verdict == (void *)&untouched);
}

TEST("NOT_VERIFIED: a receipt with one flipped bit is refused, whichever byte it is in") {
    proved one = prove("a");
    sexton_bytes text = sexton_text_bytes(one.receipt);
    uint8_t *copy = malloc(text.len);
    size_t refused = 0, step = test_size(1, 7);
    CHECK(copy != NULL && text.len > 500);
    for (size_t i = 0; i < text.len; i += step) {
        sexton_verdict *verdict = NULL;
        memcpy(copy, text.data, text.len);
        copy[i] ^= 1;
        sexton_bytes flipped = {copy, text.len};
        int32_t status = sexton_verify(flipped, sexton_text_bytes(one.policy), &verdict, &error);
        CHECK(status == SEXTON_NOT_VERIFIED && verdict == NULL);
        CHECK_STATUS(SEXTON_NOT_VERIFIED, status, error);
        refused++;
    }
    CHECK_INT((text.len + step - 1) / step, refused);
    free(copy);
    forget(&one);
}

TEST("a receipt that is cut short, too long, or none at all is refused") {
    proved one = prove("a");
    sexton_bytes text = sexton_text_bytes(one.receipt), policy = sexton_text_bytes(one.policy);
    for (size_t len = 0; len < text.len; len += 97) {
        sexton_bytes cut = {text.data, len};
        check_refused(SEXTON_NOT_VERIFIED, cut, policy);
    }
    uint8_t *huge = calloc(1, 4 << 20);
    CHECK(huge != NULL);
    sexton_bytes long_one = {huge, 4 << 20};
    check_refused(SEXTON_NOT_VERIFIED, long_one, policy);
    free(huge);
    check_refused(SEXTON_NOT_VERIFIED, bytes(""), policy);
    check_refused(SEXTON_NOT_VERIFIED, bytes("a receipt"), policy);
    forget(&one);
}

TEST("a receipt is refused under the policy of another log, and a policy that is none is INVALID") {
    proved one = prove("a");
    sexton_options *options = site_options();
    sexton_engine *other = NULL;
    sexton_text *policy = NULL;
    char folder[4400];
    snprintf(folder, sizeof folder, "%s/other", test_folder());
    CHECK_OK(sexton_open(bytes(folder), options, &other, &error), error);
    CHECK_OK(sexton_policy(other, &policy, &error), error);
    check_refused(SEXTON_NOT_VERIFIED, sexton_text_bytes(one.receipt), sexton_text_bytes(policy));
    check_refused(SEXTON_INVALID, sexton_text_bytes(one.receipt), bytes("this is no policy\n"));
    check_refused(SEXTON_INVALID, sexton_text_bytes(one.receipt), bytes(""));
    sexton_text_free(policy);
    sexton_options_free(options);
    close_site(other);
    forget(&one);
}

TEST("a receipt is not given for another key, another id, or what has not ended") {
    proved one = prove("a");
    sexton_text *text = NULL;
    sexton_id live = put(one.engine, "files", "b"), nobody = {{1}};
    const sexton_bytes a = bytes("a"), b = bytes("b");
    CHECK_STATUS(SEXTON_INVALID,
                 sexton_receipt(one.engine, &one.id, SEXTON_OPENER_KEY, b, &text, &error), error);
    CHECK_STATUS(SEXTON_NOT_FOUND,
                 sexton_receipt(one.engine, &live, SEXTON_OPENER_KEY, b, &text, &error), error);
    CHECK_STATUS(SEXTON_NOT_FOUND,
                 sexton_receipt(one.engine, &nobody, SEXTON_OPENER_KEY, a, &text, &error), error);
    CHECK_STATUS(SEXTON_INVALID,
                 sexton_receipt(one.engine, &one.id, SEXTON_OPENER_TICKET, a, &text, &error), error);
    CHECK_STATUS(SEXTON_INVALID, sexton_receipt(one.engine, &one.id, 3, a, &text, &error), error);
    CHECK(text == NULL);
    forget(&one);
}

TEST("a deletion after the ceiling is late by so much") {
    sexton_engine *engine = open_site(NULL, 0);
    sexton_id id = put(engine, "files", "a");
    pass_ms(DAY_MS + 5 * MINUTE_MS);
    CHECK_INT(1, delete_due(engine));
    sexton_text *text = receipt(engine, id, "a");
    sexton_verdict *verdict = verdict_of(engine, text);
    CHECK_INT(SEXTON_OUTCOME_LATE, sexton_verdict_outcome(verdict));
    CHECK_INT(5 * MINUTE_MS, sexton_verdict_by_ms(verdict));
    CHECK_INT(NEW_YEAR_MS + SECOND_MS, sexton_verdict_floor_ms(verdict));
    CHECK_INT(NEW_YEAR_MS + DAY_MS, sexton_verdict_ceiling_ms(verdict));
    sexton_verdict_free(verdict);
    sexton_text_free(text);
    close_site(engine);
}

/* Registers in the class whose openings only the holder of the ticket has. */
static sexton_results *put_ticketed(sexton_engine *engine, const char *key, sexton_id *id, sexton_bytes *ticket) {
    sexton_registration one = registration("ticketed", key);
    sexton_results *results = NULL;
    size_t len;
    CHECK_OK(sexton_register(engine, &one, 1, 0, &results, &error), error);
    const sexton_registered *answer = sexton_results_registered(results, &len);
    CHECK(answer->ticket.len > 0);
    *id = answer->id;
    *ticket = answer->ticket;
    return results;
}

TEST("with a ticket its holder alone gets a receipt: not with the key, not with another's ticket") {
    sexton_engine *engine = define(open_site(NULL, 0), TICKETED);
    sexton_id a_id, b_id;
    sexton_bytes a_ticket, b_ticket;
    sexton_results *a = put_ticketed(engine, "a", &a_id, &a_ticket);
    sexton_results *b = put_ticketed(engine, "b", &b_id, &b_ticket);
    sexton_text *text = NULL;
    pass_ms(2 * SECOND_MS);
    CHECK_INT(2, delete_due(engine));
    CHECK_STATUS(SEXTON_NOT_FOUND,
                 sexton_receipt(engine, &a_id, SEXTON_OPENER_KEY, bytes("a"), &text, &error), error);
    CHECK_STATUS(SEXTON_INVALID,
                 sexton_receipt(engine, &a_id, SEXTON_OPENER_TICKET, b_ticket, &text, &error), error);
    CHECK_OK(sexton_receipt(engine, &a_id, SEXTON_OPENER_TICKET, a_ticket, &text, &error), error);
    sexton_verdict *verdict = verdict_of(engine, text);
    CHECK_INT(SEXTON_OUTCOME_KEPT, sexton_verdict_outcome(verdict));
    CHECK_TEXT("a", sexton_verdict_key(verdict));
    sexton_verdict_free(verdict);
    sexton_text_free(text);
    sexton_results_free(a);
    sexton_results_free(b);
    close_site(engine);
}

TEST("a change gives the ticket that takes the place of the earlier one") {
    sexton_engine *engine = define(open_site(NULL, 0), TICKETED);
    sexton_id id;
    sexton_bytes old;
    sexton_results *first = put_ticketed(engine, "a", &id, &old), *results = NULL;
    sexton_change later = {SEXTON_RESCHEDULE, bytes("a"), {{0}}, {NULL, 0}, now_ms() + HOUR_MS};
    sexton_text *text = NULL;
    size_t len;
    CHECK_OK(sexton_change_all(engine, &later, 1, 0, &results, &error), error);
    const sexton_changed *changed = sexton_results_changed(results, &len);
    CHECK_INT(SEXTON_OK, changed->status);
    CHECK(changed->ticket.len > 0 && !is_same(old, changed->ticket));
    pass_ms(HOUR_MS + 2 * SECOND_MS);
    CHECK_INT(1, delete_due(engine));
    CHECK_OK(sexton_receipt(engine, &id, SEXTON_OPENER_TICKET, changed->ticket, &text, &error), error);
    sexton_text_free(text);
    sexton_results_free(first);
    sexton_results_free(results);
    close_site(engine);
}
