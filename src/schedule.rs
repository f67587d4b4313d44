//! Deadlines: push, next, `pop_due(now)`.
