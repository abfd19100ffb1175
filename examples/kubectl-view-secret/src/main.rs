//! The program itself. All else is in the library, so that a release that
//! changes only its version compiles this file and no other.

fn main() -> std::process::ExitCode {
    kubectl_view_secret::main(option_env!("DOCKLESS_VERSION"))
}
