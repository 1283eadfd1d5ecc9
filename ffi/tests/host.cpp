// Host in C++17: includes the header, keeps handles in smart pointers and passes lambdas as callbacks.

#include "harness.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

template <auto Free> struct Deleter {
    template <typename T> void operator()(T *handle) const noexcept { Free(handle); }
};

using Engine = std::unique_ptr<sexton_engine, Deleter<sexton_engine_free>>;
using Options = std::unique_ptr<sexton_options, Deleter<sexton_options_free>>;
using Results = std::unique_ptr<sexton_results, Deleter<sexton_results_free>>;
using Batch = std::unique_ptr<sexton_batch, Deleter<sexton_batch_free>>;
using Text = std::unique_ptr<sexton_text, Deleter<sexton_text_free>>;
using Verdict = std::unique_ptr<sexton_verdict, Deleter<sexton_verdict_free>>;

constexpr std::int64_t new_year_ms = 1767225600000;

// Clock of one test, which advances only on request.
struct Clock {
    std::atomic<std::int64_t> passed_ms{1};

    void advance(std::int64_t ms) { passed_ms += ms; }
    [[nodiscard]] std::int64_t now_ms() const { return new_year_ms + passed_ms; }
};

sexton_bytes bytes(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t *>(text.data()), text.size()};
}

std::string_view view(sexton_bytes text) {
    return text.len == 0 ? std::string_view{}
                         : std::string_view{reinterpret_cast<const char *>(text.data), text.len};
}

// Exception that check() throws for a failed call.
struct Failure {
    std::int32_t status;
    std::string message;
};

// Calls a function with an error pointer, and throws Failure if it fails.
template <typename Call> void check(Call &&call) {
    sexton_error *error = nullptr;
    std::int32_t status = call(&error);
    if (status != SEXTON_OK) {
        Failure failure{status, std::string{view(sexton_error_message(error))}};
        sexton_error_free(error);
        throw failure;
    }
    CHECK(error == nullptr);
}

Options make_options(Clock &clock) {
    Options options{sexton_options_new()};
    const std::pair<const char *, const char *> settings[] = {
        {"origin", "example.com/cpp"},
        {"threads", "0"},
        {"disk_reserve_bytes", "0"},
        {"classes", "[class.files]\nkeep = \"1s\"\nwithin = \"1d\"\nstart = \"explicit\"\n"},
    };
    for (const auto &[name, value] : settings) {
        check([&](auto error) {
            return sexton_options_set(options.get(), bytes(name), bytes(value), error);
        });
    }
    auto wall = [](void *user) { return static_cast<Clock *>(user)->now_ms(); };
    auto monotonic = [](void *user) -> std::int64_t {
        return static_cast<Clock *>(user)->passed_ms;
    };
    check([&](auto error) {
        return sexton_options_set_clock(options.get(), wall, monotonic, &clock, error);
    });
    return options;
}

Engine open(const Options &options) {
    sexton_engine *engine = nullptr;
    check([&](auto error) {
        return sexton_open(bytes(test_folder()), options.get(), &engine, error);
    });
    return Engine{engine};
}

sexton_id register_object(const Engine &engine, const Clock &clock, std::string_view key) {
    sexton_registration object = SEXTON_REGISTRATION_INIT;
    object.key = bytes(key);
    object.class_name = bytes("files");
    object.has_start = true;
    object.start_ms = clock.now_ms();
    sexton_results *results = nullptr;
    check(
        [&](auto error) { return sexton_register(engine.get(), &object, 1, 0, &results, error); });
    Results owned{results};
    std::size_t len = 0;
    return sexton_results_registered(owned.get(), &len)[0].id;
}

// Runs the engine until it has nothing left to do at its present time.
void run_until_idle(const Engine &engine, const Clock &clock) {
    std::int64_t next_ms = INT64_MIN;
    while (next_ms <= clock.now_ms()) {
        check([&](auto error) { return sexton_run(engine.get(), 1000, &next_ms, error); });
    }
}

TEST("C++: a lambda callback deletes objects; the receipt is kept") {
    Clock clock;
    std::set<std::string> deleted;
    Options options = make_options(clock);
    auto callback = [](void *user, sexton_engine *on, const sexton_batch *batch) -> std::int32_t {
        std::size_t len = 0;
        const sexton_object *objects = sexton_batch_objects(batch, &len);
        std::vector<sexton_answer> answers;
        for (std::uint32_t i = 0; i < len; i++) {
            static_cast<std::set<std::string> *>(user)->emplace(view(objects[i].key));
            answers.push_back({i, SEXTON_ANSWER_DELETED, {nullptr, 0}});
        }
        const sexton_batch_id id = sexton_batch_get_id(batch);
        std::size_t taken = 0;
        return sexton_answer_objects(on, &id, answers.data(), answers.size(), &taken, nullptr);
    };
    check([&](auto error) {
        return sexton_options_set_delete(options.get(), callback, &deleted, error);
    });
    Engine engine = open(options);
    const sexton_id id = register_object(engine, clock, "a");
    register_object(engine, clock, "b");
    clock.advance(2000);
    run_until_idle(engine, clock);
    CHECK((deleted == std::set<std::string>{"a", "b"}));

    sexton_text *receipt = nullptr, *policy = nullptr;
    sexton_verdict *verdict = nullptr;
    check([&](auto error) {
        return sexton_receipt(engine.get(), &id, SEXTON_OPENER_KEY, bytes("a"), &receipt, error);
    });
    Text receipt_owned{receipt};
    check([&](auto error) { return sexton_policy(engine.get(), &policy, error); });
    Text policy_owned{policy};
    check([&](auto error) {
        return sexton_verify(sexton_text_bytes(receipt), sexton_text_bytes(policy), clock.now_ms(),
                             &verdict, error);
    });
    Verdict verdict_owned{verdict};
    CHECK_INT(SEXTON_COMPLIANCE_KEPT, sexton_verdict_compliance(verdict));
    CHECK(view(sexton_verdict_key(verdict)) == "a");
    CHECK(view(sexton_verdict_origin(verdict)) == "example.com/cpp");
}

TEST("C++: an error becomes an exception; destructors close") {
    Clock clock;
    Options options = make_options(clock);
    Engine engine = open(options);
    try {
        register_object(engine, clock, "");
        CHECK(false);
    } catch (const Failure &failure) {
        CHECK_INT(SEXTON_INVALID, failure.status);
        CHECK(failure.message.find("key of 0 bytes") != std::string::npos);
    }
    register_object(engine, clock, "a");
    engine.reset();
    engine = open(options);
    sexton_counters found{};
    check([&](auto error) {
        return sexton_class_counters(engine.get(), bytes("files"), &found, error);
    });
    CHECK_INT(1, found.live);
}

TEST("C++: threads register concurrently through one engine") {
    Clock clock;
    Options options = make_options(clock);
    Engine engine = open(options);
    std::vector<std::thread> threads;
    std::mutex lock;
    std::set<std::string> ids;
    const std::size_t each = test_size(200, 20);
    for (int number = 0; number < 4; number++) {
        threads.emplace_back([&, number] {
            for (std::size_t i = 0; i < each; i++) {
                sexton_id id = register_object(engine, clock,
                                               std::to_string(number) + "/" + std::to_string(i));
                std::lock_guard<std::mutex> guard{lock};
                ids.emplace(reinterpret_cast<const char *>(id.bytes), sizeof id.bytes);
            }
        });
    }
    for (auto &thread : threads) {
        thread.join();
    }
    CHECK_INT(4 * each, ids.size());
    clock.advance(2000);
    run_until_idle(engine, clock);
    std::size_t taken = 0;
    for (;;) {
        sexton_batch *batch = nullptr;
        check([&](auto error) { return sexton_next_batch(engine.get(), &batch, error); });
        Batch owned{batch};
        if (!owned) {
            break;
        }
        std::size_t len = 0;
        sexton_batch_objects(batch, &len);
        taken += len;
    }
    CHECK_INT(4 * each, taken);
}

} // namespace
