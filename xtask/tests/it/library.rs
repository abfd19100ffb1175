//! What the crate offers to an xtask, which Semantic Versioning counts.

use std::process::ExitCode;

/// The type that each xtask in the world calls. Another one does not compile.
const _: fn(Option<&str>) -> ExitCode = dockless::main;

#[test]
fn one_function_is_public() {
    let text = include_str!("../../src/lib.rs");
    let public: Vec<&str> = text.lines().filter(|line| line.starts_with("pub ")).collect();
    // The modules for fuzzing are behind a `cfg` that no dependency sets.
    assert_eq!(public, ["pub mod fuzzing;", "pub use cmd::main;"]);
    assert!(text.contains("#[cfg(any(fuzzing, test))]\npub mod fuzzing;"));
}
