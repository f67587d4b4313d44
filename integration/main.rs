//! The program as its operator meets it: one file per story.

mod injection;
mod lines;
mod mail;
mod shipped;
