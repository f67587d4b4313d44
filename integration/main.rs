//! Operators' stories, one file each, against the real program.

mod actions;
mod ban;
mod commands;
mod fail2ban_regex;
mod injection;
mod install;
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
