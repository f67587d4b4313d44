//! Fail2Ban's protocol, both ways: Python's own pickles, Debian's client with our server, our client with Debian's
//! server. Where Python or Debian's package is not there, that is said and nothing is tried.

mod activation;
mod both;
mod python;
mod theirs;
