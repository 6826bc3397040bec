//! Tests of the whole program, on real servers.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::format_push_string,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "a test may panic, tell a long story, and write files in one go"
)]

mod account;
mod account_commands;
mod act;
mod action;
mod attack;
mod authorities;
mod bad_command_line;
mod bad_input;
mod bad_settings;
mod caa;
mod check;
mod ci;
mod confinement;
mod delegation;
mod disk;
mod dnscontrol;
mod docs;
mod doctor;
mod dry_run;
mod echo;
mod examples;
mod export;
mod export_jobs;
mod failures;
mod faults;
mod help;
mod history;
mod identities;
mod image;
mod import;
mod import_blackbox;
mod import_folders;
mod import_meanwhile;
mod import_tools;
mod in_place;
mod init;
mod journal;
mod journal_lock;
mod lab;
mod limits;
mod live;
mod mail;
mod manuals;
mod memory;
mod network;
mod notify;
mod odd_files;
mod odd_repositories;
mod opening;
mod packaging;
mod page;
mod pending;
mod plan;
mod plan_dns;
mod print_ir;
mod profiles;
mod races;
mod recipients;
mod refusals;
mod refusals_dns;
mod refusals_git;
mod rehearsal;
mod release;
mod renew;
mod renewal;
mod rescue;
mod revoke;
mod rollover;
mod secrecy;
mod settings;
mod settled;
mod shape;
mod shards;
mod signing;
mod status;
#[allow(dead_code, reason = "the lab offers more than these tests use")]
mod support;
mod swapped;
mod sweep;
mod three_hosts;
mod unapplied;
mod unfinished;
mod vault;
mod vault_commands;
mod vault_copy;
mod vault_doctor;
mod vault_export;
mod vault_login;
mod vault_looks;
mod verify;
mod wait;
mod yaml;
