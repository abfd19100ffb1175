//! An HTTP service that answers with the client's address, and loses no request while it is
//! replaced. All of it is in the library, so that a release that changes only its version compiles
//! this file and no other.
//!
//! What a manifest for it needs to know; `--help` lists every flag with its environment variable:
//!
//! - Port 8080 (`LISTEN`) answers `/`, `/slow?ms=N`, `/healthz` and `/readyz`. With
//!   `PROXY_PROTOCOL=true`, connections from `TRUSTED_PROXIES` must begin with a PROXY header.
//! - Port 8081 (`ADMIN_LISTEN`) answers `/healthz`, `/readyz` and `/metrics`, never expects a PROXY
//!   header, and has connections of its own. Probes belong there: a kubelet sends no PROXY
//!   header, and must not be kept out by a flood of clients.
//! - `POD` and `NODE` are shown in answers. Set them from `metadata.name` and `spec.nodeName`.
//! - No variable begins with `SOURCE_IP_`: a Service named `source-ip` makes the kubelet set
//!   `SOURCE_IP_PORT` and others of that prefix.
//! - At SIGTERM each answer says `Connection: close` from then on, connections are still accepted
//!   for `DRAIN` (3 s), what is in flight ends within `REQUEST_TIMEOUT` (10 s), and the process
//!   ends with 0, or after `SHUTDOWN_TIMEOUT` (15 s) with 1. So `terminationGracePeriodSeconds` is
//!   at least the preStop sleep + `SHUTDOWN_TIMEOUT`.
//! - `/readyz` stays 200 until the end. A pod that is not ready gets no more traffic from
//!   kube-proxy, while a balancer that has not noticed yet still sends: those requests are lost.
//! - It needs no writable folder, no capability and no user of its own. 10,000 idle connections
//!   fit into 64 MiB. It raises its limit of open files to the hard limit by itself.

fn main() -> std::process::ExitCode {
    source_ip::main(option_env!("DOCKLESS_VERSION"))
}
