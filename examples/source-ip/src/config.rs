//! The command line and its environment variables.

use std::net::SocketAddr;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args, Parser, ValueEnum};

use crate::address::Trusted;
use crate::forwarded::Header;
use crate::head;
use crate::source::Policy;

/// For how long a connection that is being closed waits for the other end to close, too.
pub const LINGER: Duration = Duration::from_secs(1);

const NOTES: &str = "\
Ports:
  LISTEN answers /, /slow?ms=N, /healthz and /readyz.
  ADMIN_LISTEN answers /healthz, /readyz and /metrics, and never expects a PROXY header:
  the place for a kubelet's probes.

Shutdown:
  At SIGTERM or SIGINT every answer says `Connection: close`. Connections are accepted for
  DRAIN seconds more, then those that are idle are closed, and the process ends with 0 when the
  last request has been answered. A second signal ends the drain at once, a third the process.
  After SHUTDOWN_TIMEOUT it ends with 1. /readyz says 200 until the end: a pod that is not
  ready gets no more traffic from kube-proxy, even if a balancer still sends some.
  In Kubernetes: terminationGracePeriodSeconds >= preStop sleep + SHUTDOWN_TIMEOUT.";

/// An HTTP service that answers with the client's address
#[derive(Clone, Debug, Parser)]
#[command(name = "source-ip", after_help = NOTES)]
pub struct Config {
    /// Address for clients; without it, port 8080 of all IPv6 and IPv4 addresses
    #[arg(long, env = "LISTEN", value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,

    /// Address for probes and metrics; without it, port 8081 of all addresses
    #[arg(long, env = "ADMIN_LISTEN", value_name = "ADDRESS:PORT")]
    pub admin_listen: Option<SocketAddr>,

    /// Write a line for every request on LISTEN
    #[arg(
        long,
        env = "LOG_REQUESTS",
        value_name = "BOOL",
        default_value = "true",
        action = ArgAction::Set,
        value_parser = BoolishValueParser::new()
    )]
    pub log_requests: bool,

    /// Name of the pod, for answers
    #[arg(long, env = "POD", value_name = "NAME", default_value = "")]
    pub pod: String,

    /// Name of the node, for answers
    #[arg(long, env = "NODE", value_name = "NAME", default_value = "")]
    pub node: String,

    #[command(flatten)]
    pub trust: Trust,

    #[command(flatten)]
    pub limits: Limits,

    #[command(flatten)]
    pub shutdown: Shutdown,
}

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Whom to believe")]
pub struct Trust {
    /// Networks of the proxies that are believed, with commas
    #[arg(
        long,
        env = "TRUSTED_PROXIES",
        value_name = "CIDR,...",
        default_value = "",
        hide_default_value = true,
        value_parser = networks
    )]
    pub trusted_proxies: Trusted,

    /// Connections from trusted proxies begin with a PROXY header, version 1 or 2
    #[arg(long, env = "PROXY_PROTOCOL", value_parser = BoolishValueParser::new())]
    pub proxy_protocol: bool,

    /// Header in which trusted proxies name their clients; no other is read
    #[arg(
        long,
        env = "FORWARDED_HEADER",
        value_name = "HEADER",
        value_enum,
        default_value_t = HeaderName::None
    )]
    pub forwarded_header: HeaderName,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HeaderName {
    None,
    XForwardedFor,
    Forwarded,
}

impl Trust {
    pub fn policy(&self) -> Policy {
        Policy {
            trusted: self.trusted_proxies.clone(),
            proxy_protocol: self.proxy_protocol,
            header: match self.forwarded_header {
                HeaderName::None => None,
                HeaderName::XForwardedFor => Some(Header::XForwardedFor),
                HeaderName::Forwarded => Some(Header::Forwarded),
            },
        }
    }
}

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Limits")]
pub struct Limits {
    /// Connections; more wait until one is closed, and an idle one is closed for them
    #[arg(
        long,
        env = "MAX_CONNECTIONS",
        value_name = "N",
        default_value_t = 10_000,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    pub max_connections: u32,

    /// Bytes of a request's line and headers
    #[arg(
        long,
        env = "MAX_HEADER_BYTES",
        value_name = "N",
        default_value_t = 16_384,
        value_parser = clap::value_parser!(u32).range(256..=1_048_576)
    )]
    pub max_header_bytes: u32,

    /// Headers of a request
    #[arg(
        long,
        env = "MAX_HEADERS",
        value_name = "N",
        default_value_t = 64,
        value_parser = clap::value_parser!(u32).range(1..=1000)
    )]
    pub max_headers: u32,

    /// Bytes of a request's body, which is read and not used
    #[arg(long, env = "MAX_BODY", value_name = "N", default_value_t = 65_536)]
    pub max_body: u64,

    /// For a PROXY header, and from a request's first byte to the end of its headers; never more
    /// than the request's own time
    #[arg(
        long,
        env = "HEADER_TIMEOUT",
        value_name = "SECONDS",
        default_value = "5",
        value_parser = seconds
    )]
    pub header_timeout: Duration,

    /// From a request's first byte to the last byte of its answer
    #[arg(
        long,
        env = "REQUEST_TIMEOUT",
        value_name = "SECONDS",
        default_value = "10",
        value_parser = seconds
    )]
    pub request_timeout: Duration,

    /// For a connection without a request; longer than the balancer's own, or it sends to
    /// connections that are being closed
    #[arg(
        long,
        env = "IDLE_TIMEOUT",
        value_name = "SECONDS",
        default_value = "75",
        value_parser = seconds
    )]
    pub idle_timeout: Duration,
}

impl Limits {
    /// How long a head may take.
    pub fn of_heads(&self) -> Duration {
        self.header_timeout.min(self.request_timeout)
    }

    /// Those of a head and its body.
    pub fn of_requests(&self) -> head::Limits {
        head::Limits {
            head: self.max_header_bytes as usize,
            headers: self.max_headers as usize,
            body: self.max_body,
        }
    }
}

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Shutdown")]
pub struct Shutdown {
    /// From SIGTERM to the end of accepting connections
    #[arg(long, env = "DRAIN", value_name = "SECONDS", default_value = "3", value_parser = seconds)]
    pub drain: Duration,

    /// From SIGTERM to the end of the process, finished or not
    #[arg(
        long,
        env = "SHUTDOWN_TIMEOUT",
        value_name = "SECONDS",
        default_value = "15",
        value_parser = seconds
    )]
    pub shutdown_timeout: Duration,
}

impl Config {
    /// Checks what no single flag can: the error says which flags contradict each other.
    pub fn check(&self) -> Result<(), String> {
        let believing = [
            ("--proxy-protocol", self.trust.proxy_protocol),
            ("--forwarded-header", self.trust.forwarded_header != HeaderName::None),
        ];
        let believing = believing.iter().find(|(_, is_set)| *is_set);
        if let (Some((flag, _)), true) = (believing, self.trust.trusted_proxies.0.is_empty()) {
            return Err(format!(
                "{flag} believes nobody without --trusted-proxies, the networks of your proxies"
            ));
        }
        let Shutdown { drain, shutdown_timeout } = self.shutdown;
        let request = self.limits.request_timeout;
        let longest = drain + request + LINGER;
        if shutdown_timeout < longest {
            return Err(format!(
                "--shutdown-timeout of {} s can cut off a request that begins at the end of the \
                 drain; --drain, --request-timeout and 1 s for closing take {} s",
                shutdown_timeout.as_secs_f64(),
                longest.as_secs_f64()
            ));
        }
        Ok(())
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number: Option<f64> = text.parse().ok();
    match number {
        Some(number) if (0.0..=86_400.0).contains(&number) => Ok(Duration::from_secs_f64(number)),
        _ => Err("not a number of seconds from 0 to 86400, such as 5 or 0.5".to_owned()),
    }
}

fn networks(text: &str) -> Result<Trusted, String> {
    if text.trim().is_empty() {
        return Ok(Trusted::default());
    }
    text.split(',').map(|network| network.trim().parse()).collect::<Result<_, _>>().map(Trusted)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parsed(args: &[&str]) -> Result<Config, String> {
        let config = Config::try_parse_from([&["source-ip"][..], args].concat());
        let config = config.map_err(|error| error.to_string())?;
        config.check().map(|()| config)
    }

    #[test]
    fn the_defaults_hold() {
        Config::command().debug_assert();
        parsed(&[]).unwrap();
    }

    #[test]
    fn flags_that_contradict_each_other_are_refused() {
        let table: &[(&[&str], &str)] = &[
            (&["--proxy-protocol"], "--proxy-protocol believes nobody"),
            (&["--forwarded-header", "forwarded"], "--forwarded-header believes nobody"),
            (&["--drain", "5"], "--shutdown-timeout of 15 s can cut off"),
            (&["--drain=-1"], "not a number of seconds"),
            (&["--drain", "inf"], "not a number of seconds"),
            (&["--max-connections", "0"], "0 is not in 1..=1000000"),
            (&["--trusted-proxies", "10.0.0.1/8"], "the network is 10.0.0.0/8"),
            (&["--trusted-proxies", "10.0.0.0/8,"], "neither an address nor a network"),
        ];
        for (args, why) in table {
            let error = parsed(args).unwrap_err();
            assert!(error.contains(why), "{args:?}: {error}");
        }
    }

    #[test]
    fn lists_may_have_spaces_and_may_be_empty() {
        let config = parsed(&["--trusted-proxies", "10.0.0.0/8, ::1", "--proxy-protocol"]).unwrap();
        assert_eq!(config.trust.trusted_proxies.0.len(), 2);
        assert!(parsed(&["--trusted-proxies", ""]).unwrap().trust.trusted_proxies.0.is_empty());
    }
}
