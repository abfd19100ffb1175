//! The service, as a list of what there is: addresses and whom to believe, then requests,
//! connections, and the beginning and end of it all.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{CommandFactory, FromArgMatches};
use tokio::sync::watch;

use crate::config::Config;
use crate::door::{Door, Kind, Phase, Shared};
use crate::log::{Event, Log};
use crate::metrics::Metrics;
use crate::shutdown::Signals;

mod address;
mod forwarded;
mod proxy_protocol;
mod source;

mod head;

mod config;
mod log;
mod metrics;

mod door;

mod answer;
mod close;
mod connection;
mod exchange;
mod routes;

mod server;
mod shutdown;

/// The ports without LISTEN and ADMIN_LISTEN.
const PORT: u16 = 8080;
const ADMIN_PORT: u16 = 8081;

/// Connections of probes and scrapes.
const ADMIN_CONNECTIONS: u32 = 64;

/// Open files that are not connections of clients.
const OTHER_FILES: u64 = 100;

/// Runs the program. `version` is that of the release, if there is one.
pub fn main(version: Option<&'static str>) -> ExitCode {
    let version = version.unwrap_or(env!("CARGO_PKG_VERSION"));
    let mut command = Config::command().version(version);
    let config = Config::from_arg_matches(&command.get_matches_mut());
    let config = config.unwrap_or_else(|error| error.exit());
    if let Err(why) = config.check() {
        command.error(clap::error::ErrorKind::ValueValidation, why).exit();
    }
    match run(config, version) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(config: Config, version: &'static str) -> anyhow::Result<ExitCode> {
    let log = Log::start().context("cannot start the thread that writes the log")?;
    let policy = config.trust.policy();
    let metrics = Arc::new(Metrics::default());
    let shared = Arc::new(Shared { config, policy, metrics, log, version });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    let unfinished = runtime.block_on(serve(&shared))?;
    shared.log.event(&Event::Ended { unfinished });
    shared.log.flush(Duration::from_secs(1));
    Ok(if unfinished == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Serves until a signal. Returns the number of connections that were cut off.
async fn serve(shared: &Arc<Shared>) -> anyhow::Result<u64> {
    let signals = Signals::catch().context("cannot catch signals")?;
    let config = &shared.config;
    let limit = connections(shared);
    let (phase, watched) = watch::channel(Phase::Serving);
    let door = Door::new(Kind::Clients, shared.clone(), watched, limit);
    let (admin_phase, watched) = watch::channel(Phase::Serving);
    let admin = Door::new(Kind::Admin, shared.clone(), watched, ADMIN_CONNECTIONS);
    let listener = server::listen(config.listen, PORT)?;
    let admin_listener = server::listen(config.admin_listen, ADMIN_PORT)?;
    for (port, listener) in [("clients", &listener), ("admin", &admin_listener)] {
        let address = listener.local_addr().context("cannot read a socket's address")?.to_string();
        shared.log.event(&Event::Listening { port, address });
    }
    let accepting = tokio::spawn(server::accept(door.clone(), listener));
    let admin_accepting = tokio::spawn(server::accept(admin.clone(), admin_listener));
    let unfinished = shutdown::wait(signals, &config.shutdown, &phase, accepting, &door).await;
    shutdown::close_admin(&admin_phase, admin_accepting, &admin).await;
    Ok(unfinished)
}

/// How many connections the open files allow, of those configured.
fn connections(shared: &Shared) -> u32 {
    let configured = shared.config.limits.max_connections;
    let files = server::raise_open_files().saturating_sub(OTHER_FILES).max(1);
    let connections = u32::try_from(files).unwrap_or(u32::MAX).min(configured);
    if connections < configured {
        shared.log.event(&Event::FewerConnections { connections });
    }
    connections
}
