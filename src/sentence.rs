//! Decides how long a ban lasts.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long a ban lasts; none means for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sentence(pub Option<Duration>);
