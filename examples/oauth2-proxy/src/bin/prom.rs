//! Stands for Prometheus: an application that only signed-in users may see.

fn main() -> anyhow::Result<()> {
    greeting::main("prom")
}
