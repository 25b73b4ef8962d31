//! Records the compiler and the commit, so that a report says what was measured.

use std::process::Command;

fn line_of(program: &str, args: &[&str]) -> Option<String> {
    let out = Command::new(program).args(args).output().ok()?;
    let text = String::from_utf8(out.stdout).ok()?;
    (out.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}

fn main() {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let unknown = || "unknown".to_owned();
    println!("cargo::rustc-env=COMPARE_RUSTC={}", line_of(&rustc, &["--version"]).unwrap_or_else(unknown));
    let commit = line_of("git", &["rev-parse", "--short=12", "HEAD"]).map(|hash| {
        let dirty = line_of("git", &["status", "--porcelain", "--untracked-files=no"]).is_some();
        if dirty { format!("{hash}, with changes") } else { hash }
    });
    println!("cargo::rustc-env=COMPARE_COMMIT={}", commit.unwrap_or_else(unknown));
    println!("cargo::rustc-env=COMPARE_TARGET={}", std::env::var("TARGET").unwrap_or_else(|_| unknown()));
    println!("cargo::rerun-if-changed=build.rs");
    // Both, because a commit changes what HEAD names without touching HEAD.
    for name in ["HEAD", "logs/HEAD"] {
        if let Some(path) = line_of("git", &["rev-parse", "--git-path", name]) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    println!("cargo::rerun-if-changed=../../src");
}
