// A host in C++17: the header is valid C++, and its handles go into smart pointers, its callbacks are lambdas.

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

// The clock of one test.
struct Clock {
    std::atomic<std::int64_t> passed_ms{1};

    void pass(std::int64_t ms) { passed_ms += ms; }
    [[nodiscard]] std::int64_t now_ms() const { return new_year_ms + passed_ms; }
};

sexton_bytes bytes(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t *>(text.data()), text.size()};
}

std::string_view view(sexton_bytes of) {
    return of.len == 0 ? std::string_view{}
                       : std::string_view{reinterpret_cast<const char *>(of.data), of.len};
}

// Throws what a call says, as a C++ host would have it.
struct Failure {
    std::int32_t status;
    std::string what;
};

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
    auto monotonic = [](void *user) -> std::int64_t { return static_cast<Clock *>(user)->passed_ms; };
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

sexton_id put(const Engine &engine, const Clock &clock, std::string_view key) {
    sexton_registration one = SEXTON_REGISTRATION_INIT;
    one.key = bytes(key);
    one.class_name = bytes("files");
    one.start_ms = clock.now_ms();
    sexton_results *results = nullptr;
    check([&](auto error) { return sexton_register(engine.get(), &one, 1, 0, &results, error); });
    Results owned{results};
    std::size_t len = 0;
    return sexton_results_registered(owned.get(), &len)[0].id;
}

// Runs until the engine wants nothing more.
void settle(const Engine &engine, const Clock &clock) {
    std::int64_t next_ms = INT64_MIN;
    while (next_ms <= clock.now_ms()) {
        check([&](auto error) { return sexton_run(engine.get(), 1000, &next_ms, error); });
    }
}

TEST("C++: an object goes its way through smart pointers and lambdas, and its receipt is kept") {
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
        return sexton_complete(on, &id, answers.data(), answers.size(), &taken, nullptr);
    };
    check([&](auto error) {
        return sexton_options_set_delete(options.get(), callback, &deleted, error);
    });
    Engine engine = open(options);
    const sexton_id id = put(engine, clock, "a");
    put(engine, clock, "b");
    clock.pass(2000);
    settle(engine, clock);
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
        return sexton_verify(sexton_text_bytes(receipt), sexton_text_bytes(policy), &verdict, error);
    });
    Verdict verdict_owned{verdict};
    CHECK_INT(SEXTON_OUTCOME_KEPT, sexton_verdict_outcome(verdict));
    CHECK(view(sexton_verdict_key(verdict)) == "a");
    CHECK(view(sexton_verdict_origin(verdict)) == "example.com/cpp");
}

TEST("C++: an error becomes an exception, and destructors leave nothing behind") {
    Clock clock;
    Options options = make_options(clock);
    Engine engine = open(options);
    try {
        put(engine, clock, "");
        CHECK(false);
    } catch (const Failure &failure) {
        CHECK_INT(SEXTON_INVALID, failure.status);
        CHECK(failure.what.find("key of 0 bytes") != std::string::npos);
    }
    put(engine, clock, "a");
    engine.reset();
    engine = open(options);
    sexton_counters of{};
    check([&](auto error) {
        return sexton_class_counters(engine.get(), bytes("files"), &of, error);
    });
    CHECK_INT(1, of.live);
}

TEST("C++: threads register through one engine at once") {
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
                sexton_id id = put(engine, clock, std::to_string(number) + "/" + std::to_string(i));
                std::lock_guard<std::mutex> guard{lock};
                ids.emplace(reinterpret_cast<const char *>(id.bytes), sizeof id.bytes);
            }
        });
    }
    for (auto &thread : threads) {
        thread.join();
    }
    CHECK_INT(4 * each, ids.size());
    clock.pass(2000);
    settle(engine, clock);
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
