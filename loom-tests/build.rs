//! Compiles the library's own sources a second time, against loom, by a private cfg.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cfg=latchfree_loom");
}
