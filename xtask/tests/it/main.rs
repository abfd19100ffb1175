//! Whole commands in temporary workspaces, and the house itself.
#![expect(
    clippy::disallowed_methods,
    reason = "tests make the world that the program is tested in"
)]

mod house;
