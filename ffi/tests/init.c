/* INIT macros of the structs. */

#include "harness.h"

/* Checks that an INIT macro sets no field. Both objects are static, so their padding is 0 too. */
#define CHECK_ZERO(type, init)                                                                     \
    do {                                                                                           \
        static const type zero;                                                                    \
        static const type initial = init;                                                          \
        if (memcmp(&initial, &zero, sizeof zero) != 0) {                                           \
            FAIL("the INIT macro of %s sets a field", #type);                                      \
        }                                                                                          \
    } while (0)

TEST("every INIT macro is a zero-initialised struct") {
    CHECK_ZERO(sexton_bytes, SEXTON_BYTES_INIT);
    CHECK_ZERO(sexton_id, SEXTON_ID_INIT);
    CHECK_ZERO(sexton_registration, SEXTON_REGISTRATION_INIT);
    CHECK_ZERO(sexton_registered, SEXTON_REGISTERED_INIT);
    CHECK_ZERO(sexton_object_change, SEXTON_OBJECT_CHANGE_INIT);
    CHECK_ZERO(sexton_changed, SEXTON_CHANGED_INIT);
    CHECK_ZERO(sexton_object, SEXTON_OBJECT_INIT);
    CHECK_ZERO(sexton_batch_id, SEXTON_BATCH_ID_INIT);
    CHECK_ZERO(sexton_answer, SEXTON_ANSWER_INIT);
    CHECK_ZERO(sexton_selector, SEXTON_SELECTOR_INIT);
    CHECK_ZERO(sexton_hold, SEXTON_HOLD_INIT);
    CHECK_ZERO(sexton_erasure, SEXTON_ERASURE_INIT);
    CHECK_ZERO(sexton_counters, SEXTON_COUNTERS_INIT);
    CHECK_ZERO(sexton_planned_object, SEXTON_PLANNED_OBJECT_INIT);
}
