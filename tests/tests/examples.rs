//! The examples of the engine run to their end. Each is compiled into this binary, so that none links RocksDB again.

#[path = "../../engine/examples/custom_store.rs"]
mod custom_store;
#[path = "../../engine/examples/erasure.rs"]
mod erasure;
#[path = "../../engine/examples/event_loop.rs"]
mod event_loop;
#[path = "../../engine/examples/legal_hold.rs"]
mod legal_hold;
#[path = "../../engine/examples/quickstart.rs"]
mod quickstart;

#[test]
fn quickstart_runs() {
    quickstart::main().unwrap();
}

#[test]
fn legal_hold_runs() {
    legal_hold::main().unwrap();
}

#[test]
fn erasure_runs() {
    erasure::main().unwrap();
}

#[test]
fn event_loop_runs() {
    event_loop::main().unwrap();
}

#[test]
fn custom_store_runs() {
    custom_store::main().unwrap();
}
