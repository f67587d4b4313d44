//! Operators' stories, one file each, against the real program.
#![expect(missing_docs, reason = "a test binary has no readers of its documentation")]

mod commands;
mod install;
mod lab;
