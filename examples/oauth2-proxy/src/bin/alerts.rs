//! Stands for Alertmanager: an application that only signed-in users may see.

fn main() -> anyhow::Result<()> {
    greeting::main("alerts")
}
