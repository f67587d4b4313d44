//! Fail2Ban's world: a tree such as `/etc/fail2ban` → what it means, and what was refused.
//!
//! Text → options; no actors.
