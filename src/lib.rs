//! Stockade: log lines in, firewall bans out.
//!
//! ```text
//!  files ───► tailer ══Lines══► jail ══Ban/Unban══╦══► firewall ──► kernel   one netlink transaction per batch
//!                        (filter → tracker → roster)╠══► store               one SQLite transaction per batch
//!                           ▲            ▲          ╟──► timer               one queue of deadlines, one sleep
//!                           │ Ask        │ Expired  ╟──► action ──► processes  commands, time-limited
//!               control ────┘            └── timer ─╜
//!    (socket, signals)
//!  config ─► supervisor   starts, retunes and revives every actor
//! ```
//!
//! Each ring uses only the rings above it; `integration/layers.rs` checks it.

// ── 0 values: no I/O, no clock, nothing of this crate
pub mod digest;
pub mod fingerprint;
pub mod id;
pub mod python;
pub mod span;
pub mod subnet;
pub mod time;

// ── 1 pure logic: no actix, fs, socket, clock or log macro; `now` is an argument
pub mod filter;
pub mod ignore;
pub mod jail;
pub mod probation;
pub mod roster;
pub mod schedule;
pub mod sentence;
pub mod tracker;

// ── 2 edges: I/O behind plain types; no actix
pub mod action;
pub mod broker;
pub mod control;
pub mod fault;
pub mod firewall;
pub mod log;
pub mod logins;
pub mod memory;
pub mod net;
pub mod sandbox;
pub mod source;
pub mod store;

// ── 3 config: text → options, valid by construction
pub mod config;
pub mod fail2ban;

// ── 4 actors: the only folder that knows actix; thin shells, decide nothing
pub mod actor;

// ── 5 commands
pub mod cli;
