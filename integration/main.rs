//! Operators' stories, one file each, against the real program.

mod actions;
mod again;
mod ban;
mod commands;
mod debian;
mod fail2ban;
mod fail2ban_regex;
mod hosts_deny;
mod injection;
mod install;
mod iptables;
mod journal;
mod lab;
mod layers;
mod lines;
mod mail;
mod net;
mod nft;
mod offline;
mod operate;
mod reload;
mod restart;
mod revive;
mod rotate;
mod shipped;
mod spared;
