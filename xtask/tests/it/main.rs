//! Whole commands in temporary workspaces, and the house itself.
#![expect(
    clippy::disallowed_methods,
    reason = "tests make the world that the program is tested in"
)]

mod adopter;
mod audit;
mod docs;
mod house;
mod large;
mod library;

#[cfg(target_os = "linux")]
mod binstall;
#[cfg(target_os = "linux")]
mod book;
#[cfg(target_os = "linux")]
mod caches;
#[cfg(target_os = "linux")]
mod check;
#[cfg(target_os = "linux")]
mod cluster;
#[cfg(target_os = "linux")]
mod commands;
#[cfg(target_os = "linux")]
mod completions;
#[cfg(target_os = "linux")]
mod costs;
#[cfg(target_os = "linux")]
mod cross;
#[cfg(target_os = "linux")]
mod dockerfile;
#[cfg(target_os = "linux")]
mod doctor;
#[cfg(target_os = "linux")]
mod example_ingress;
#[cfg(target_os = "linux")]
mod examples;
mod examples_in_help;
#[cfg(target_os = "linux")]
mod explain;
#[cfg(target_os = "linux")]
mod failures;
#[cfg(target_os = "linux")]
mod first_run;
#[cfg(target_os = "linux")]
mod foreign_files;
#[cfg(target_os = "linux")]
mod generate;
#[cfg(target_os = "linux")]
mod hostile_images;
#[cfg(target_os = "linux")]
mod image_faults;
#[cfg(target_os = "linux")]
mod images;
mod init;
mod inputs;
#[cfg(target_os = "linux")]
mod joined;
#[cfg(target_os = "linux")]
mod kills;
#[cfg(target_os = "linux")]
mod krew;
#[cfg(target_os = "linux")]
mod krew_bump;
#[cfg(target_os = "linux")]
mod krew_judges;
#[cfg(target_os = "linux")]
mod krew_release;
#[cfg(target_os = "linux")]
mod licenses;
#[cfg(target_os = "linux")]
mod man;
#[cfg(target_os = "linux")]
mod manifests;
#[cfg(target_os = "linux")]
mod manners;
#[cfg(target_os = "linux")]
mod other_loops;
#[cfg(target_os = "linux")]
mod over_ssh;
#[cfg(target_os = "linux")]
mod prepare;
#[cfg(target_os = "linux")]
mod publish;
#[cfg(target_os = "linux")]
mod published;
#[cfg(target_os = "linux")]
mod rebuild;
#[cfg(target_os = "linux")]
mod registries;
#[cfg(target_os = "linux")]
mod registry_faults;
#[cfg(target_os = "linux")]
mod releases;
#[cfg(target_os = "linux")]
mod renderers;
#[cfg(target_os = "linux")]
mod repositories;
#[cfg(target_os = "linux")]
mod reproducible;
#[cfg(target_os = "linux")]
mod resolve;
#[cfg(target_os = "linux")]
mod said;
#[cfg(target_os = "linux")]
mod sboms;
#[cfg(target_os = "linux")]
mod sccache;
#[cfg(target_os = "linux")]
mod schemas;
mod settings;
#[cfg(target_os = "linux")]
mod shards;
#[cfg(target_os = "linux")]
mod slots;
#[cfg(target_os = "linux")]
mod streams;
#[cfg(target_os = "linux")]
mod taken_over;
#[cfg(target_os = "linux")]
mod targets;
#[cfg(target_os = "linux")]
mod tokens;
#[cfg(target_os = "linux")]
mod trust;
#[cfg(target_os = "linux")]
mod typos;
#[cfg(target_os = "linux")]
mod versions;
#[cfg(target_os = "linux")]
mod watch;
#[cfg(target_os = "linux")]
mod workflow_runs;
#[cfg(target_os = "linux")]
mod workflows;
#[cfg(target_os = "linux")]
mod world;
