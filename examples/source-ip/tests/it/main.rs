//! The service as its clients, its balancer and its kubelet meet it: real processes, real sockets.
#![cfg(target_os = "linux")]

mod addresses;
mod balancer;
mod ending;
mod hostile;
mod limits;
mod said;
mod world;
