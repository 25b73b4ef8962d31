//! Compiles the library's own sources once more, with atomics that dawdle, by a private cfg.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cfg=latchfree_delay");
}
