//! The program as its operator meets it: one file per story.

mod lines;
mod mail;
mod shipped;
