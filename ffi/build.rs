//! Gives the shared library its soname, keeps it loaded, because its threads outlive a `dlclose`, and routes its exit
//! handlers through `src/exit.c`.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/exit.c");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libsexton.so.{}", env!("CARGO_PKG_VERSION_MAJOR"));
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    println!("cargo:rustc-cdylib-link-arg=-Wl,--wrap=__cxa_atexit");
    cc::Build::new().file("src/exit.c").link_lib_modifier("+whole-archive").compile("sexton_exit");
}
