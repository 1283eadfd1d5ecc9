/* The API of docs/api.md: requests as they come over HTTP, and the note of the control socket. */

#include "fixture.h"

static sexton_error *error;
static sexton_text *text;

/* Attribution of a decision, and the end of its request. */
#define BY_ADA "\"decision\":{\"author\":\"Ada\",\"reason\":\"court order\"}}"

static sexton_api_request get(const char *target) {
    sexton_api_request request = SEXTON_API_REQUEST_INIT;
    request.method = bytes("GET");
    request.target = bytes(target);
    return request;
}

static sexton_api_request post(const char *target, const char *body) {
    sexton_api_request request = SEXTON_API_REQUEST_INIT;
    request.method = bytes("POST");
    request.target = bytes(target);
    request.content_type = bytes("application/json");
    request.body = bytes(body);
    request.has_uid = true;
    request.uid = 4711;
    return request;
}

/* Expects a response with a status, and keeps its body in `text`. */
static void ask(sexton_engine *engine, sexton_api_request request, uint32_t expected) {
    uint32_t http_status = 0;
    sexton_text_free(text);
    text = NULL;
    CHECK_OK(sexton_api(engine, &request, &http_status, &text, &error), error);
    if (http_status != expected) {
        const sexton_bytes body = sexton_text_bytes(text);
        FAIL("%u: %.*s", (unsigned)http_status, (int)body.len, (const char *)body.data);
    }
}

static void done(sexton_engine *engine) {
    sexton_text_free(text);
    text = NULL;
    close_engine(engine);
}

TEST("a query and a body reach their operations, with the user") {
    sexton_engine *engine = open_engine(NULL, 0);
    ask(engine, get("/v1/time"), 200);
    CHECK_INT(now_ms(), json_number(text, "now_ms"));
    char body[256];
    snprintf(body, sizeof body,
             "{\"objects\":[{\"key\":\"a b\",\"class\":\"files\",\"start_ms\":%lld}]}",
             (long long)now_ms());
    ask(engine, post("/v1/objects/register", body), 200);
    ask(engine, get("/v1/objects/find?key=a%20b"), 200);
    CHECK(json_contains(text, "\"class\":\"files\""));
    CHECK_INT(1, class_counters(engine, "files").live);
    ask(engine,
        post("/v1/holds/place",
             "{\"name\":\"case 7\","
             "\"on\":{\"keys\":[\"a b\"]},\"review_ms\":9999999999999," BY_ADA),
        200);
    ask(engine, get("/v1/holds"), 200);
    CHECK_INT(4711, json_number(text, "uid"));
    CHECK(json_contains(text, "court order"));
    advance_ms(2 * SECOND_MS);
    CHECK_INT(0, delete_due(engine));
    ask(engine, post("/v1/holds/lift", "{\"name\":\"case 7\",\"grace_ms\":0," BY_ADA), 200);
    ask(engine, get("/v1/status"), 200);
    CHECK(json_contains(text, "\"state\":\"running\""));
    done(engine);
}

TEST("a refused request gets a problem, and changes nothing") {
    sexton_engine *engine = open_engine(NULL, 0);
    register_object(engine, "files", "a");
    ask(engine, get("/v1/nothing"), 404);
    CHECK(json_contains(text, "\"kind\":\"no-such-path\"") && json_contains(text, "/v1/nothing"));
    ask(engine, get("/v1/time\xff"), 400);
    ask(engine, get(""), 404);
    ask(engine, get("/v1/holds/place"), 405);
    ask(engine, get("/v1/plan?until=tomorrow"), 400);
    ask(engine, post("/v1/holds/place", "{"), 400);
    ask(engine, post("/v1/holds/lift", "{\"name\":\"x\",\"grace_ms\":0," BY_ADA), 404);
    CHECK(json_contains(text, "\"kind\":\"not-found\""));
    sexton_api_request other = post("/v1/reclaim", "{}");
    other.content_type = bytes("text/plain");
    ask(engine, other, 415);
    other = post("/v1/reclaim", "{}");
    other.idempotency_key = bytes("1");
    ask(engine, other, 400);
    ask(engine, get("/v1/sources"), 400);
    static uint8_t endless[SEXTON_API_BODY_BYTES_MAX + 1];
    other = post("/v1/reclaim", "");
    other.body = (sexton_bytes){endless, sizeof endless};
    ask(engine, other, 413);
    CHECK_INT(1, class_counters(engine, "files").live);
    done(engine);
}

TEST("a forgotten flag or a dangling body is INVALID") {
    sexton_engine *engine = open_engine(NULL, 0);
    uint32_t http_status = 77;
    sexton_text *body = UNTOUCHED(sexton_text);
    sexton_api_request request = get("/v1/time");
    request.uid = 1;
    CHECK_STATUS(SEXTON_INVALID, sexton_api(engine, &request, &http_status, &body, &error), error);
    request = get("/v1/time");
    request.body = (sexton_bytes){NULL, 3};
    CHECK_STATUS(SEXTON_INVALID, sexton_api(engine, &request, &http_status, &body, &error), error);
    CHECK(http_status == 77 && body == UNTOUCHED(sexton_text));
    done(engine);
}

TEST("the note of the control socket is replaced and withdrawn") {
    sexton_engine *engine = open_engine(NULL, 0);
    CHECK_STATUS(SEXTON_INVALID, sexton_set_control_socket(engine, bytes("control.sock"), &error),
                 error);
    CHECK_OK(sexton_set_control_socket(engine, bytes("/run/one.sock"), &error), error);
    CHECK_OK(sexton_set_control_socket(engine, bytes("/run/host/control.sock"), &error), error);
    test_shell("test \"$(cat service)\" = /run/host/control.sock");
    CHECK_OK(sexton_set_control_socket(engine, (sexton_bytes){NULL, 0}, &error), error);
    CHECK_OK(sexton_set_control_socket(engine, (sexton_bytes){NULL, 0}, &error), error);
    test_shell("test ! -e service");
    done(engine);
}
