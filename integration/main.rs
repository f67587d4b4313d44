//! The program as its operator meets it; one file per story.

mod commands;
mod install;
