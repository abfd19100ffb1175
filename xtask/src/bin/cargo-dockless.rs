//! The installed program. It is its own small crate so that a new version
//! recompiles nothing but these lines.

fn main() -> std::process::ExitCode {
    dockless::main(option_env!("DOCKLESS_VERSION"))
}
